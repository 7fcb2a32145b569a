"""The computed order is a permutation, looks shuffled, and is the same everywhere."""

import numpy as np
import pytest

from pipeline.batches.order import Permutation


@pytest.mark.parametrize("size", [1, 2, 3, 4, 5, 16, 17, 63, 1000, 4096, 4097, 100_003])
def test_every_number_comes_exactly_once(size: int) -> None:
    assert sorted(Permutation(size, seed=3).index(np.arange(size)).tolist()) == list(range(size))


def test_any_part_can_be_asked_for_alone() -> None:
    order = Permutation(1000, seed=1)
    assert order.index(np.array([[5], [998]])).tolist() == order.index(np.arange(1000))[[5, 998], None].tolist()


def test_seeds_give_different_orders_and_an_order_never_changes() -> None:
    first, second = (Permutation(1000, seed).index(np.arange(1000)) for seed in (1, 2))
    assert (first != second).mean() > 0.98
    # Written down: an order that differs on another machine or in another version would break exact resume.
    assert Permutation(10, seed=1).index(np.arange(10)).tolist() == [8, 3, 9, 1, 0, 7, 6, 4, 5, 2]


def test_neighbours_are_far_apart() -> None:
    """Successive places hold unrelated numbers: the mean distance is a third of the range, as in a random order."""
    order = Permutation(10_000, seed=5).index(np.arange(10_000))
    assert abs(np.abs(np.diff(order)).mean() / 10_000 - 1 / 3) < 0.02


def test_huge_orders_need_no_memory() -> None:
    places = np.arange(10**12, 10**12 + 100)
    numbers = Permutation(10**15, seed=1).index(places)
    assert len(np.unique(numbers)) == 100
    assert numbers.min() >= 0
    assert numbers.max() < 10**15
