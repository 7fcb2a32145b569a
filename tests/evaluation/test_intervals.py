"""Bootstrap intervals cover the truth as often as they say, and differences are paired."""

import tracemalloc

import numpy as np
import pytest
from sklearn.metrics import f1_score

from pipeline.evaluation import intervals
from pipeline.evaluation.decisions import carried
from pipeline.evaluation.intervals import interval, resampled
from pipeline.evaluation.scores import macro_f1


def decisions(generator: np.random.Generator, labels: np.ndarray, accuracy: float) -> np.ndarray:
    wrong = (labels + 1 + generator.integers(2, size=len(labels))) % 3
    return np.where(generator.random(len(labels)) < accuracy, labels, wrong)


def test_95_percent_intervals_cover_the_true_accuracy_95_times_in_100(monkeypatch) -> None:
    monkeypatch.setattr(intervals, "RESAMPLES", 400)
    generator = np.random.default_rng(0)
    covered = 0
    for _ in range(200):
        labels = generator.integers(3, size=150)
        system = carried(decisions(generator, labels, 0.7), 3, False)
        low, high = interval(resampled(carried(labels, 3, False), {"one": system})["one"]["accuracy"])
        covered += low <= 0.7 <= high
    assert 180 <= covered <= 199


def test_resampled_scores_are_those_of_resampled_documents() -> None:
    """Against the slow way: draw documents, ask scikit-learn."""
    generator = np.random.default_rng(1)
    labels = generator.integers(3, size=60)
    predicted = decisions(generator, labels, 0.6)
    fast = resampled(carried(labels, 3, False), {"one": carried(predicted, 3, False)})["one"]
    draw = np.random.Generator(np.random.PCG64(intervals.SEED))
    for place in range(20):
        rows = draw.integers(60, size=60)
        assert fast["accuracy"][place] == pytest.approx((labels[rows] == predicted[rows]).mean())
        assert fast["macro_f1"][place] == pytest.approx(f1_score(labels[rows], predicted[rows], average="macro"))


def test_differences_are_paired() -> None:
    """Two systems that err on the same documents but one differ surely, though each alone is uncertain."""
    generator = np.random.default_rng(2)
    labels = generator.integers(3, size=400)
    one = decisions(generator, labels, 0.6)
    other = one.copy()
    better = np.flatnonzero(one == labels)[:12]
    other[better] = (labels[better] + 1) % 3
    scores = resampled(carried(labels, 3, False), {"one": carried(one, 3, False), "other": carried(other, 3, False)})
    low, high = interval(scores["one"]["accuracy"] - scores["other"]["accuracy"])
    assert 0 < low < 12 / 400 < high < 0.06
    assert interval(scores["one"]["accuracy"])[0] < interval(scores["other"]["accuracy"])[1]


def many_classes(documents: int, classes: int, systems: int) -> tuple[np.ndarray, dict[str, np.ndarray]]:
    """Documents with about three labels each, and systems that err about once a document."""
    generator = np.random.default_rng(4)
    truth = generator.random((documents, classes)) < 3 / classes
    return truth, {f"{n}": truth ^ (generator.random(truth.shape) < 1 / classes) for n in range(systems)}


def test_scores_of_many_classes_are_to_the_bit_those_of_plain_sums(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(intervals, "RESAMPLES", 60)
    truth, systems = many_classes(200, 100, 3)
    found = resampled(truth, systems)
    draw = np.random.Generator(np.random.PCG64(intervals.SEED))
    draws = [draw.integers(200, size=200) for _ in range(60)]
    for name, decided in systems.items():
        right, hits = (truth == decided).all(axis=1), truth & decided
        for place, rows in enumerate(draws):
            sums = (one[rows].sum(axis=0).astype(np.float64) for one in (hits, decided, truth))
            assert found[name]["macro_f1"][place] == macro_f1(*sums)
            assert found[name]["accuracy"][place] == right[rows].sum() / 200


def test_memory_does_not_grow_with_documents_times_classes_times_systems(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(intervals, "RESAMPLES", 10)
    truth, systems = many_classes(3000, 200, 12)
    tracemalloc.start()
    resampled(truth, systems)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 8 * truth.size * len(systems) / 2, "a dense float64 matrix for each system is twice as much"


def test_memory_blocks_change_nothing(monkeypatch) -> None:
    generator = np.random.default_rng(3)
    truth, system = generator.random((50, 4)) < 0.4, generator.random((50, 4)) < 0.4
    whole = resampled(truth, {"one": system})["one"]["macro_f1"]
    monkeypatch.setattr(intervals, "BLOCK", 500)
    assert (resampled(truth, {"one": system})["one"]["macro_f1"] == whole).all()
