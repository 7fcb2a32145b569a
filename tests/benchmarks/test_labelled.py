"""Promise: labelled documents are drawn by class and seed, and every comparison of a seed has the same ones."""

from itertools import pairwise

import numpy as np
import pytest

from benchmarks.studies.labelled import draw, sample
from benchmarks.studies.rows import paired
from pipeline.base.errors import UserError

# As many as TREC has of each class.
LABELS = np.random.Generator(np.random.PCG64(1)).permutation(np.repeat(np.arange(6), [86, 1162, 1250, 1223, 835, 896]))


@pytest.mark.parametrize("number", [12, 20, 100, 1000, len(LABELS)])
def test_every_class_is_drawn_by_its_share_and_twice_at_least(number: int) -> None:
    rows = draw(LABELS, number, seed=3)
    assert len(set(rows.tolist())) == number
    counts, shares = np.bincount(LABELS[rows], minlength=6), np.bincount(LABELS) / len(LABELS)
    assert counts.min() >= 2
    assert np.abs(counts - number * shares).max() <= 2


def test_the_same_seed_draws_the_same_and_another_seed_draws_others() -> None:
    np.testing.assert_array_equal(draw(LABELS, 100, seed=1), draw(LABELS, 100, seed=1))
    assert len(np.intersect1d(draw(LABELS, 100, seed=1), draw(LABELS, 100, seed=2))) < 20


def test_more_labels_are_the_same_ones_and_others() -> None:
    smaller = [set(draw(LABELS, number, seed=4).tolist()) for number in (20, 100, 500, 1000)]
    assert all(few < many for few, many in pairwise(smaller))


def test_a_class_with_one_document_gives_it() -> None:
    assert 4 in draw(np.array([0, 0, 0, 0, 1, 0]), 3, seed=1)


@pytest.mark.parametrize("number", [0, 11, len(LABELS) + 1])
def test_a_number_that_cannot_be_drawn_is_one_line(number: int) -> None:
    with pytest.raises(UserError, match=f"labels: {number} cannot be drawn; ask for 12 to {len(LABELS)}"):
        draw(LABELS, number, seed=1)


def test_the_test_sample_is_fixed_and_a_small_test_part_is_taken_whole() -> None:
    np.testing.assert_array_equal(sample(1000, 50, seed=1), sample(1000, 50, seed=1))
    assert len(np.unique(sample(1000, 50, seed=1))) == 50
    np.testing.assert_array_equal(sample(40, 50, seed=1), np.arange(40))


def test_systems_that_err_on_the_same_documents_are_told_apart_sooner_than_strangers() -> None:
    random = np.random.Generator(np.random.PCG64(5))
    base_SN = random.random((3, 1000)) < 0.2
    better_SN = base_SN & (random.random((3, 1000)) < 0.9)
    stranger_SN = np.stack([random.permutation(wrong_N) for wrong_N in better_SN])
    alike, apart = paired(better_SN, base_SN), paired(stranger_SN, base_SN)
    assert alike["difference"] == pytest.approx(apart["difference"])
    assert alike["interval"][1] < 0
    assert np.ptp(alike["interval"]) < 0.5 * np.ptp(apart["interval"])
    assert paired(base_SN, base_SN)["interval"] == [0.0, 0.0]
