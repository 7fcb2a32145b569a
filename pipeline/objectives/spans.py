"""Span corruption: an encoder reads text with spans taken out, a decoder writes the spans.

Raffel et al. 2020 (T5), sections 3.1.4 and 3.3.4; figure 2 shows an example.
"""

import torch
from torch import Tensor

from pipeline.base.errors import UserError
from pipeline.config.suitable import SpanCounts, span_counts, unspannable
from pipeline.objectives.example import Example
from pipeline.objectives.noise import Purpose, choose
from pipeline.text.specials import BOS, SPECIALS

FIRST_SENTINEL = SPECIALS.index("<extra_0>")


class Spans:
    """Spans are taken out of the first T tokens of a window, and a sentinel is left in place of each.

    The target names each sentinel, followed by its span, and ends with one sentinel more. The decoder starts from
    <bos>. How many tokens and spans are taken depends on T alone, so all rows have the same lengths; where they lie
    depends on the row's seed, every division of these numbers being equally likely. Text comes first and a span last,
    as in the authors' code.
    """

    per_byte = False

    def __init__(self, rate: float = 0.15, span_length: float = 3.0) -> None:
        """Take out `rate` of the tokens, in spans of `span_length` tokens on average."""
        self.rate, self.span_length = rate, span_length

    def targets(self, length: int) -> float:
        """The tokens taken out, a sentinel for each span, and the last sentinel.

        Raises:
            UserError: if there are not enough sentinels for so many tokens, or fewer than two tokens.
        """
        return self.counts(length).written

    def examples(self, windows_BT1: Tensor, seeds_B: Tensor) -> list[Example]:
        """One example of all rows; `UserError` as `targets`."""
        tokens_BT = windows_BT1[:, :-1]
        rows, length = tokens_BT.shape
        taken_BT = self._taken(seeds_B, length)
        starts_BT = taken_BT.clone()
        starts_BT[:, 1:] &= ~taken_BT[:, :-1]
        sentinels_BT = FIRST_SENTINEL + starts_BT.cumsum(dim=1) - 1
        # Lengths are equal in all rows, so what a mask selects can be put in rows again.
        source_BS = sentinels_BT.where(starts_BT, tokens_BT)[starts_BT | ~taken_BT].view(rows, -1)
        pairs_BT2 = torch.stack([sentinels_BT, tokens_BT], dim=2)
        spans_BN = pairs_BT2[torch.stack([starts_BT, taken_BT], dim=2)].view(rows, -1)
        last_B1 = sentinels_BT[:, -1:] + 1
        return [
            Example(
                rows_B=torch.arange(rows, device=tokens_BT.device),
                inputs_BT=torch.cat([torch.full_like(last_B1, BOS), spans_BN], dim=1),
                targets_BT=torch.cat([spans_BN, last_B1], dim=1),
                causal=True,
                source_BS=source_BS,
            )
        ]

    measured = examples

    def counts(self, length: int) -> SpanCounts:
        """How many of `length` tokens are taken out, and in how many spans; `UserError` as `targets`."""
        if reason := unspannable(self.rate, self.span_length, length):
            raise UserError(reason)
        return span_counts(self.rate, self.span_length, length)

    def _taken(self, seeds_B: Tensor, length: int) -> Tensor:
        """True at the tokens that are taken out: bool (B, length)."""
        taken, spans = self.counts(length)
        gaps_BN = _divide(seeds_B, Purpose.GAP_LENGTHS, length - taken, spans)
        spans_BN = _divide(seeds_B, Purpose.SPAN_LENGTHS, taken, spans)
        lengths_BN2 = torch.stack([gaps_BN, spans_BN], dim=2)
        begins_BM = lengths_BN2.flatten(1).cumsum(dim=1)[:, :-1]  # of every part but the first
        changes_BT = torch.zeros(len(seeds_B), length, dtype=torch.int64, device=seeds_B.device)
        return changes_BT.scatter_(1, begins_BM, 1).cumsum(dim=1) % 2 == 1


def _divide(seeds_B: Tensor, purpose: Purpose, total: int, parts: int) -> Tensor:
    """Random lengths, each at least 1, of `parts` parts that add up to `total`: int64 (B, parts)."""
    inner_BN = torch.ones(len(seeds_B), total - 1, dtype=torch.bool, device=seeds_B.device)
    cuts_BN = choose(seeds_B, purpose, inner_BN, parts - 1).nonzero()[:, 1].view(len(seeds_B), parts - 1) + 1
    ends_B1 = torch.full_like(seeds_B, total)[:, None]
    return torch.diff(cuts_BN, dim=1, prepend=torch.zeros_like(ends_B1), append=ends_B1)
