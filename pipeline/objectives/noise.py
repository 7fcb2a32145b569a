"""Random choices that are a function of a row's seed alone, by the hash that dropout uses."""

from enum import IntEnum

import torch
from torch import Tensor

from pipeline.models.dropout import random_bits


class Purpose(IntEnum):
    """What numbers are drawn for; each has noise of its own. Negative, as dropout's sites count from zero."""

    PLACES = -1
    KIND = -2
    REPLACEMENT = -3
    ROW = -4
    PREFIX = -5
    SPAN_LENGTHS = -6
    GAP_LENGTHS = -7
    SAMPLE = -8
    GENERATOR = -9
    CUTS = -10


def bits(seeds_B: Tensor, purpose: Purpose, count: int) -> Tensor:
    """Uniform whole numbers from -2^31 to 2^31 - 1: int32 (B, count). The first do not change with `count`."""
    return random_bits(seeds_B, purpose, torch.Size((len(seeds_B), count)))


def below(seeds_B: Tensor, purpose: Purpose, count: int, limit: int) -> Tensor:
    """Uniform whole numbers from 0 to limit - 1: int64 (B, count)."""
    return ((bits(seeds_B, purpose, count).long() + 2**31) * limit) >> 32


def fractions(seeds_B: Tensor, purpose: Purpose, count: int) -> Tensor:
    """Uniform numbers between 0 and 1, never either of them: float32 (B, count)."""
    # 23 bits and a half are what float32 holds exactly; more would be rounded up to 1 now and then.
    return ((bits(seeds_B, purpose, count) >> 9).float() + (2**22 + 0.5)) / 2**23


def choose(seeds_B: Tensor, purpose: Purpose, allowed_BT: Tensor, count: int) -> Tensor:
    """True at exactly `count` random places of each row among those allowed, or at all of these where they are fewer.

    Every set of that many places is equally likely.
    """
    keys_BT = bits(seeds_B, purpose, allowed_BT.size(1)).long().masked_fill(~allowed_BT, 2**31)
    return allowed_BT & (ranks(keys_BT) < count)


def ranks(keys_BT: Tensor) -> Tensor:
    """How many keys of its row stand before each in ascending order; of equal ones the first comes first."""
    return keys_BT.argsort(dim=1, stable=True).argsort(dim=1)
