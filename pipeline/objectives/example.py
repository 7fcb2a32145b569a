"""What an objective is: windows of tokens in, inputs and targets out."""

from typing import NamedTuple, Protocol

from torch import Tensor


class Example(NamedTuple):
    """One pass through the network: rows that are read in the same way, and what is asked of them."""

    # Which rows of the windows these are, (B) int64; noise belongs to a row, so its seed goes with it.
    rows_B: Tensor
    # Token numbers, (B, T) int64.
    inputs_BT: Tensor
    # What the hidden state at each place must predict; IGNORED (cross_entropy.py) where nothing is asked.
    targets_BT: Tensor
    # Each token sees itself and those before it, or all of its row.
    causal: bool
    # Prefix language model: this many first tokens of each row are seen from everywhere, (B) int64.
    prefix_B: Tensor | None = None
    # What an encoder reads, (B, S) int64, without padding of its own.
    source_BS: Tensor | None = None
    # What each target's loss counts in the sum.
    weight: float = 1.0


class Objective(Protocol):
    """A self-supervised task over windows of T + 1 tokens, `windows_BT1`, of which neighbours share one token.

    `seeds_B` (int64, one of each row) decides all noise: the examples of a row are the same whatever batch it is in.
    """

    # Whether the measured loss is of every token given those before it, so that bits per byte mean something.
    per_byte: bool

    def targets(self, length: int) -> float:
        """Targets of one full window of `length` + 1 tokens, by weight: what a step's sum is divided by, per window."""
        ...

    def examples(self, windows_BT1: Tensor, seeds_B: Tensor) -> list[Example]:
        """What to train on; rows that are read in different ways come in different examples."""
        ...

    def measured(self, windows_BT1: Tensor, seeds_B: Tensor) -> list[Example]:
        """What validation reads."""
        ...
