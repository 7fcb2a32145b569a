"""The prefix language model: what follows a prefix that is seen from both sides.

Raffel et al. 2020, section 3.2.1; Liu et al. 2018 (arXiv 1801.10198).
"""

import torch
from torch import Tensor

from pipeline.objectives.causal import windows_to_inputs_and_targets
from pipeline.objectives.cross_entropy import IGNORED
from pipeline.objectives.example import Example
from pipeline.objectives.noise import Purpose, below


class Prefix:
    """A prefix of 1 to T - 1 tokens, as many as each row's seed says; the tokens after it are the targets."""

    per_byte = False

    def targets(self, length: int) -> float:
        """The mean number: a prefix of P tokens leaves length + 1 - P."""
        return length + 1 - (1 + _longest(length)) / 2

    def examples(self, windows_BT1: Tensor, seeds_B: Tensor) -> list[Example]:
        """One example of all rows."""
        inputs_BT, targets_BT = windows_to_inputs_and_targets(windows_BT1)
        T = inputs_BT.size(1)
        prefix_B = 1 + below(seeds_B, Purpose.PREFIX, 1, _longest(T))[:, 0]
        at_T = torch.arange(T, device=inputs_BT.device)
        # The prefix's last token is the first whose next token is not in sight.
        targets_BT = targets_BT.masked_fill(at_T < prefix_B[:, None] - 1, IGNORED)
        rows_B = torch.arange(len(inputs_BT), device=inputs_BT.device)
        return [Example(rows_B, inputs_BT, targets_BT, causal=True, prefix_B=prefix_B)]

    measured = examples


def _longest(length: int) -> int:
    return max(1, length - 1)
