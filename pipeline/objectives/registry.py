"""Objectives by name."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from torch import Tensor

from pipeline.objectives.causal import Causal
from pipeline.objectives.example import Objective
from pipeline.objectives.hybrid import Hybrid
from pipeline.objectives.masked import Masked, Masking
from pipeline.objectives.prefix import Prefix
from pipeline.objectives.spans import Spans


@dataclass(frozen=True)
class Options:
    """What the objectives can be told; each takes what concerns it."""

    vocabulary: int
    # Share of the tokens that are masked, taken out or replaced.
    mask_rate: float = 0.15
    # Which tokens begin a word, bool (V), to mask whole words (`words.word_begins`); None masks tokens one by one.
    begins_V: Tensor | None = None
    # Rows are read backward.
    reverse: bool = False
    # Share of the rows that hybrid masks.
    masked_share: float = 0.5
    # Mean length of the spans that are taken out, in tokens.
    span_length: float = 3.0

    @property
    def masking(self) -> Masking:
        """Which tokens are hidden, and how."""
        return Masking(self.vocabulary, self.mask_rate, self.begins_V, reverse=self.reverse)


OBJECTIVES: dict[str, Callable[[Options], Objective]] = {
    "causal": lambda options: Causal(),
    "masked": lambda options: Masked(options.masking),
    "hybrid": lambda options: Hybrid(options.masking, options.masked_share),
    "spans": lambda options: Spans(options.mask_rate, options.span_length),
    "prefix": lambda options: Prefix(),
}


def objective(name: str, **options: Any) -> Objective:
    """The objective of this name; `options` are the fields of `Options`."""
    return OBJECTIVES[name](Options(**options))
