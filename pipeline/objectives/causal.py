"""The causal objective: predict each token from those before it (Radford et al. 2018, section 3.1)."""

import torch
from torch import Tensor

from pipeline.objectives.cross_entropy import IGNORED
from pipeline.objectives.example import Example
from pipeline.text.specials import PAD


class Causal:
    """Every token of a window but the first is a target. There is no noise."""

    per_byte = True

    def targets(self, length: int) -> float:
        """All `length` tokens that follow another."""
        return length

    def examples(self, windows_BT1: Tensor, seeds_B: Tensor) -> list[Example]:
        """One example of all rows; `seeds_B` is not used."""
        rows_B = torch.arange(len(windows_BT1), device=windows_BT1.device)
        return [Example(rows_B, *windows_to_inputs_and_targets(windows_BT1), causal=True)]

    measured = examples


def windows_to_inputs_and_targets(windows_BT1: Tensor) -> tuple[Tensor, Tensor]:
    """Cut windows of T + 1 tokens into `inputs_BT` and `targets_BT`, the tokens that follow; -1 where that is a pad."""
    inputs_BT, targets_BT = windows_BT1[:, :-1], windows_BT1[:, 1:]
    return inputs_BT, targets_BT.masked_fill(targets_BT == PAD, IGNORED)
