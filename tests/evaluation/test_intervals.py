"""Bootstrap intervals cover the truth as often as they say, and differences are paired."""

import numpy as np
import pytest
from sklearn.metrics import f1_score

from pipeline.evaluation import intervals
from pipeline.evaluation.decisions import carried
from pipeline.evaluation.intervals import interval, resampled


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


def test_memory_blocks_change_nothing(monkeypatch) -> None:
    generator = np.random.default_rng(3)
    truth, system = generator.random((50, 4)) < 0.4, generator.random((50, 4)) < 0.4
    whole = resampled(truth, {"one": system})["one"]["macro_f1"]
    monkeypatch.setattr(intervals, "BLOCK", 500)
    assert (resampled(truth, {"one": system})["one"]["macro_f1"] == whole).all()
