"""The hybrid objective: one stack reads some rows causally and some with tokens hidden (GPT-BERT).

Charpentier & Samuel 2024, arXiv 2410.24159, section 2.
"""

import torch
from torch import Tensor

from pipeline.objectives.causal import Causal, windows_to_inputs_and_targets
from pipeline.objectives.cross_entropy import IGNORED
from pipeline.objectives.example import Example
from pipeline.objectives.masked import Masking
from pipeline.objectives.noise import Purpose, fractions


class Hybrid:
    """Each row, by its seed, is causal or of masked next-token prediction.

    There a hidden token is predicted by the hidden state of the place before it, as the next token is in a causal row:
    both kinds use the output in the same way.

    Rows count alike, whatever they ask: the loss of a causal row is the mean over its T targets, that of a masked row
    the mean over its hidden tokens, which therefore weigh T / (hidden tokens) each. `masked_share` then is the share
    of the masked loss too.
    """

    per_byte = True

    def __init__(self, masking: Masking, masked_share: float = 0.5) -> None:
        """`masked_share` of the rows, by chance, are masked."""
        self.masking, self.masked_share = masking, masked_share

    def targets(self, length: int) -> float:
        """The weight of a row of either kind."""
        return length

    def examples(self, windows_BT1: Tensor, seeds_B: Tensor) -> list[Example]:
        """One example for each kind of row that there is."""
        masked_B = fractions(seeds_B, Purpose.ROW, 1)[:, 0] < self.masked_share
        kinds = (self._causal, ~masked_B), (self._masked, masked_B)
        return [
            make(rows_B, windows_BT1[rows_B], seeds_B[rows_B])
            for make, of_kind_B in kinds
            if len(rows_B := of_kind_B.nonzero()[:, 0])
        ]

    def measured(self, windows_BT1: Tensor, seeds_B: Tensor) -> list[Example]:
        """All rows causally, which compares with any causal model."""
        return Causal().measured(windows_BT1, seeds_B)

    def _causal(self, rows_B: Tensor, windows_BT1: Tensor, seeds_B: Tensor) -> Example:
        return Example(rows_B, *windows_to_inputs_and_targets(windows_BT1), causal=True)

    def _masked(self, rows_B: Tensor, windows_BT1: Tensor, seeds_B: Tensor) -> Example:
        # The last of the tokens that may be hidden is past the end of the inputs: its own next-token prediction.
        tokens_BT = windows_BT1[:, 1:]
        places_BT = self.masking.places(tokens_BT, seeds_B)
        hidden_BT = self.masking.hide(tokens_BT, places_BT, seeds_B)
        return Example(
            rows_B,
            inputs_BT=torch.cat([windows_BT1[:, :1], hidden_BT[:, :-1]], dim=1),
            targets_BT=tokens_BT.masked_fill(~places_BT, IGNORED),
            causal=False,
            weight=tokens_BT.size(1) / self.masking.count(tokens_BT.size(1)),
        )
