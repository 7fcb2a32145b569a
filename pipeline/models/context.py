"""What all layers of one forward pass are told."""

from typing import NamedTuple

from torch import Tensor

from pipeline.models.cache import Cache
from pipeline.models.positions import Positions


class Memory(NamedTuple):
    """What an encoder has read, for the decoder's cross-attention."""

    hidden_BSD: Tensor
    # (B, 1, 1, S), true where there is a token; None where there is one everywhere.
    mask_B11S: Tensor | None


class Context(NamedTuple):
    """The same for every block."""

    # Each token attends to itself and those before it, and to no other.
    causal: bool
    # Dropout noise, one int64 for each sequence; None for no dropout.
    seeds_B: Tensor | None
    # Where tokens stand, for attention.
    positions: Positions
    # (B, S), true where a key is a token and no padding; None where every one is, and where the causal mask hides it.
    keys_BS: Tensor | None = None
    # Broadcasts to (B, H, T, S): what softmax attention adds to its scores, or true where it may look. It then holds
    # the causal mask too. None: nothing but `causal` is asked for.
    mask: Tensor | None = None
    # For cross-attention.
    memory: Memory | None = None
    # For generation; None in training.
    cache: Cache | None = None
