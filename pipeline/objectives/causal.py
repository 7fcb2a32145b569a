"""The causal objective: predict each token from those before it."""

from torch import Tensor

from pipeline.objectives.cross_entropy import IGNORED
from pipeline.text.specials import PAD


def windows_to_inputs_and_targets(window_BT1: Tensor) -> tuple[Tensor, Tensor]:
    """Cut windows of T + 1 tokens into `inputs_BT` and `targets_BT`, the tokens that follow; -1 where that is a pad."""
    inputs_BT, targets_BT = window_BT1[:, :-1], window_BT1[:, 1:]
    return inputs_BT, targets_BT.masked_fill(targets_BT == PAD, IGNORED)
