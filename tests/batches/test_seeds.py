"""Seeds of sequences depend on seed, step and global index, on all of them and on nothing else."""

import numpy as np

from pipeline.batches.seeds import hash_numbers, mix, sequence_seeds


def test_mix_is_the_published_generator() -> None:
    """SplitMix64 from state 1234567: the reference values of its first outputs."""
    golden = 0x9E3779B97F4A7C15
    states = np.array([(1234567 + step * golden) % 2**64 for step in range(3)], dtype=np.uint64)
    assert mix(states).tolist() == [6457827717110365317, 3203168211198807973, 9817491932198370423]


def test_a_sequence_has_its_seed_on_whatever_device_it_lands() -> None:
    whole = sequence_seeds(7, 3, np.arange(16))
    parts = [sequence_seeds(7, 3, np.arange(16)[rank::4]) for rank in range(4)]
    assert whole.dtype == np.int64
    assert (whole >= 0).all()
    for rank in range(4):
        assert parts[rank].tolist() == whole[rank::4].tolist()


def test_seed_step_and_index_all_count() -> None:
    seeds = [sequence_seeds(seed, step, np.arange(100)) for seed in range(10) for step in range(10)]
    assert len(np.unique(np.concatenate(seeds))) == 10_000


def test_order_of_hashed_numbers_counts() -> None:
    assert hash_numbers(1, 2) != hash_numbers(2, 1)
    assert hash_numbers(-1, 2) != hash_numbers(1, 2)
