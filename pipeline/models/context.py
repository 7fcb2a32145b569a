"""What all layers of one forward pass are told."""

from typing import NamedTuple

from torch import Tensor

from pipeline.models.positions import Positions


class Context(NamedTuple):
    """The same for every block."""

    # Each token attends to itself and those before it.
    causal: bool
    # (B, 1, 1, T), true where a key may be attended to; None where every key may.
    mask_B11T: Tensor | None
    # Dropout noise, one int64 for each sequence; None for no dropout.
    seeds_B: Tensor | None
    # Where tokens stand, for attention.
    positions: Positions
