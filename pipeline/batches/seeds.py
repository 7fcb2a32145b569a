"""Seeds of single sequences, so that their noise does not depend on the device or micro batch they land in."""

import numpy as np

GOLDEN = np.uint64(0x9E3779B97F4A7C15)


def mix(values: np.ndarray) -> np.ndarray:
    """Scramble uint64 numbers, one to one: the output function of SplitMix64 (Steele, Lea & Flood 2014, figure 16)."""
    values = values + GOLDEN  # arrays wrap around silently
    values = (values ^ (values >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    values = (values ^ (values >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return values ^ (values >> np.uint64(31))


def hash_numbers(*numbers: int) -> int:
    """One 64-bit number out of several; their order counts."""
    state = np.zeros(1, dtype=np.uint64)
    for number in numbers:
        state = mix(state ^ np.uint64(number % 2**64))
    return int(state[0])


def step_seed(seed: int, step: int) -> int:
    """Seed of the noise that a whole step shares, equal on any number of devices."""
    return hash_numbers(seed, step, 2) >> 1


def sequence_seeds(seed: int, step: int, indices: np.ndarray) -> np.ndarray:
    """Seeds for the sequences of one step: int64 (B,), not negative.

    indices: global numbers (B,) of the sequences, equal on any number of devices.
    """
    start = np.uint64(hash_numbers(seed, step))
    return (mix(start ^ indices.astype(np.uint64)) >> np.uint64(1)).astype(np.int64)
