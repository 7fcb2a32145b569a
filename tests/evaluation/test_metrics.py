"""Metrics agree with scikit-learn and with cases worked out by hand."""

import numpy as np
import pytest
from sklearn import metrics as sk

from pipeline.evaluation.calibration import Bin, expected_calibration_error, reliability
from pipeline.evaluation.decisions import carried, decided
from pipeline.evaluation.metrics import confusion, log_loss, measure

NAMES = ["a", "b", "c", "d"]


def single(documents: int = 300, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """Truth and probabilities over four classes, of which the last never occurs and is never decided."""
    generator = np.random.default_rng(seed)
    probabilities_NC = generator.dirichlet([2, 1, 1, 0.01], documents).astype(np.float32)
    probabilities_NC[:, 3] = 0
    probabilities_NC /= probabilities_NC.sum(axis=1, keepdims=True)
    return generator.integers(3, size=documents), probabilities_NC


def several(documents: int = 200, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    generator = np.random.default_rng(seed)
    probabilities_NC = generator.random((documents, 4)).astype(np.float32)
    return generator.random((documents, 4)) < 0.2 + 0.6 * probabilities_NC, probabilities_NC


def test_single_label_metrics_equal_scikit_learn() -> None:
    labels, probabilities_NC = single()
    found = measure(carried(labels, 4, False), probabilities_NC, NAMES, multilabel=False)
    predicted = probabilities_NC.argmax(axis=1)
    assert found["accuracy"] == pytest.approx(sk.accuracy_score(labels, predicted))
    assert found["macro_f1"] == pytest.approx(sk.f1_score(labels, predicted, average="macro"))
    assert found["micro_f1"] == pytest.approx(sk.f1_score(labels, predicted, average="micro"))
    expected = -np.log(probabilities_NC[np.arange(300), labels]).mean()
    assert found["log_loss"] == pytest.approx(expected, rel=1e-6)
    table = sk.precision_recall_fscore_support(labels, predicted, labels=range(4), zero_division=0)
    for place, one in enumerate(found["per_class"]):
        assert [one["precision"], one["recall"], one["f1"], one["support"]] == pytest.approx([t[place] for t in table])


def test_multi_label_metrics_equal_scikit_learn() -> None:
    carried_NC, probabilities_NC = several()
    found = measure(carried_NC, probabilities_NC, NAMES, multilabel=True)
    predicted = probabilities_NC >= 0.5
    assert found["accuracy"] == pytest.approx(sk.accuracy_score(carried_NC, predicted))
    assert found["macro_f1"] == pytest.approx(sk.f1_score(carried_NC, predicted, average="macro"))
    assert found["micro_f1"] == pytest.approx(sk.f1_score(carried_NC, predicted, average="micro"))
    losses = [sk.log_loss(carried_NC[:, c], probabilities_NC[:, c].astype(np.float64)) for c in range(4)]
    assert found["log_loss"] == pytest.approx(np.mean(losses), rel=1e-4)
    precisions = [sk.average_precision_score(carried_NC[:, c], probabilities_NC[:, c]) for c in range(4)]
    assert [one["average_precision"] for one in found["per_class"]] == pytest.approx(precisions)
    assert found["mean_average_precision"] == pytest.approx(np.mean(precisions))
    ranking = sk.label_ranking_average_precision_score(carried_NC, probabilities_NC)
    assert found["label_ranking_average_precision"] == pytest.approx(ranking)


def test_a_confident_mistake_costs_much_but_not_infinity() -> None:
    certain = np.array([[1, 0]], dtype=np.float32)
    found = measure(carried([1], 2, False), certain, ["a", "b"], multilabel=False)
    assert 80 < found["log_loss"] < 100


def test_with_several_labels_a_sure_yes_that_is_wrong_costs_what_a_sure_no_does() -> None:
    yes, no = np.array([[1 - 1e-9]], dtype=np.float32), np.array([[1e-9]], dtype=np.float32)
    costs = [log_loss(np.array([[true]]), said, multilabel=True) for true, said in ((False, yes), (True, no))]
    assert costs[0] == costs[1] == pytest.approx(-np.log(np.finfo(np.float32).eps))
    assert costs[0] == pytest.approx(sk.log_loss([0], yes.ravel(), labels=[0, 1]), rel=1e-6)
    assert log_loss(np.array([[True]]), yes, multilabel=True) == log_loss(np.array([[False]]), no, multilabel=True)


def test_no_label_decided_and_none_true_is_right_with_several_labels() -> None:
    found = measure(np.zeros((3, 2), dtype=bool), np.full((3, 2), 0.1, np.float32), ["a", "b"], multilabel=True)
    assert found["accuracy"] == 1
    assert found["macro_f1"] == found["micro_f1"] == 0


def test_confusion_counts_true_classes_in_rows() -> None:
    true, predicted = carried([0, 0, 1, 2], 3, False), carried([0, 1, 1, 1], 3, False)
    assert confusion(true, predicted).tolist() == [[1, 1, 0], [0, 1, 0], [0, 1, 0]]


def test_labels_become_booleans_and_ties_go_to_the_first_class() -> None:
    assert carried([[0, 2], [], [1]], 3, True).tolist() == [[1, 0, 1], [0, 0, 0], [0, 1, 0]]
    assert decided(np.array([[0.4, 0.4, 0.2]]), multilabel=False).tolist() == [[True, False, False]]
    assert decided(np.array([[0.5, 0.49]]), multilabel=True).tolist() == [[True, False]]


def test_calibration_error_of_known_cases() -> None:
    """Always 0.8 sure: right eight times in ten costs nothing, always right costs 0.2."""
    sure = np.tile(np.array([[0.8, 0.2]]), (10, 1))
    for right, error in ((8, 0.0), (10, 0.2), (0, 0.8)):
        bins = reliability(carried([0] * right + [1] * (10 - right), 2, False), sure, multilabel=False)
        assert expected_calibration_error(bins) == pytest.approx(error)
    assert reliability(carried([0] * 10, 2, False), sure, multilabel=False) == [Bin(pytest.approx(0.8), 1.0, 10)]


def test_calibration_bins_are_half_open_and_weighted_by_count() -> None:
    confidence = np.array([0.6, 0.6000001, 1.0, 1.0])  # 0.6 closes the ninth of fifteen bins
    probabilities_NC = np.stack([confidence, 1 - confidence], axis=1)
    bins = reliability(carried([0, 1, 0, 1], 2, False), probabilities_NC, multilabel=False)
    assert [one.count for one in bins] == [1, 1, 2]
    assert expected_calibration_error(bins) == pytest.approx((0.4 + 0.6 + 2 * 0.5) / 4, abs=1e-6)


def test_calibration_with_several_labels_is_that_of_each_label() -> None:
    probabilities_NC = np.array([[0.9, 0.1], [0.9, 0.1]])
    bins = reliability(np.array([[True, False], [True, True]]), probabilities_NC, multilabel=True)
    assert [(round(one.confidence, 6), one.accuracy, one.count) for one in bins] == [(0.1, 0.5, 2), (0.9, 1.0, 2)]
