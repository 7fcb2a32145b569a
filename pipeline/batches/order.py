"""A shuffled order of any number of things that is computed, not stored."""

import numpy as np

from pipeline.batches.seeds import hash_numbers, mix

ROUNDS = 6


class Permutation:
    """A pseudo-random one-to-one map of 0..size-1 onto itself: the same for equal `size` and `seed`, in no memory.

    A Feistel network over the next power of four, applied again to results beyond `size` until none is left
    (cycle walking: Black & Rogaway 2002, "Ciphers with Arbitrary Finite Domains", section 3).
    """

    def __init__(self, size: int, seed: int) -> None:
        self.size = size
        self.half_bits = np.uint64(max(1, ((size - 1).bit_length() + 1) // 2))
        self.half_mask = np.uint64((1 << int(self.half_bits)) - 1)
        self.keys = [np.uint64(hash_numbers(seed, size, number)) for number in range(ROUNDS)]

    def index(self, positions: np.ndarray) -> np.ndarray:
        """What stands at `positions` (any shape, each in 0..size-1) of the shuffled order: int64, the same shape."""
        values = self._encrypt(positions.astype(np.uint64))
        while (outside := values >= np.uint64(self.size)).any():
            values[outside] = self._encrypt(values[outside])
        return values.astype(np.int64)

    def _encrypt(self, values: np.ndarray) -> np.ndarray:
        left, right = values >> self.half_bits, values & self.half_mask
        for key in self.keys:
            left, right = right, left ^ (mix(right ^ key) & self.half_mask)
        return (left << self.half_bits) | right
