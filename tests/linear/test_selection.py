"""Promises of cross-validation: copies of a text are on one side, and every class that can be is in every fold."""

import tracemalloc
from collections.abc import Iterator, Sequence

import numpy as np
import pytest
from scipy.sparse import csr_matrix

from pipeline.linear import nb_svm, selection, tfidf_lr
from pipeline.linear.loss import log_loss
from pipeline.linear.model import LinearModel
from pipeline.linear.selection import alike, enough, folds


@pytest.mark.parametrize("multilabel", [False, True])
def test_copies_of_a_text_are_held_out_together(multilabel: bool) -> None:
    texts = [f"text {number // 3}" for number in range(60)]
    labels_N = np.arange(60) // 3 % 2
    labels = np.eye(2, dtype=bool)[labels_N] if multilabel else labels_N
    held = []
    for train_N, held_N in folds(labels, 4, 1, alike(texts)):
        assert not {texts[row] for row in train_N} & {texts[row] for row in held_N}
        assert sorted([*train_N, *held_N]) == list(range(60))
        held.extend(held_N)
    assert sorted(held) == list(range(60)), "each once"


def test_without_copies_the_folds_are_those_of_the_labels_alone() -> None:
    labels = np.random.default_rng(1).integers(3, size=50)
    alone, told = folds(labels, 5, 1), folds(labels, 5, 1, alike(range(50)))
    for one, other in zip(alone, told, strict=True):
        np.testing.assert_array_equal(np.concatenate(one), np.concatenate(other))


def test_copies_are_no_further_documents_to_hold_out() -> None:
    assert enough(np.array([0, 0, 0, 1, 1, 1]))
    assert not enough(np.array([0, 0, 0, 1, 1, 1]), alike(["a", "a", "a", "b", "b", "c"]))


def test_a_temperature_is_not_found_on_copies_of_what_was_trained_on() -> None:
    """Noisy labels, each text three times: seen copies would speak for a certainty that new texts do not bear out."""
    random = np.random.default_rng(2)
    labels = random.integers(2, size=80)
    texts = [f"{'left' if random.random() < 0.6 else 'right'} own{number}" for number in range(80)]
    once = tfidf_lr.fit(texts, labels, classes=2).predict_proba(["left", "right"])
    thrice = tfidf_lr.fit(texts * 3, np.tile(labels, 3), classes=2).predict_proba(["left", "right"])
    assert abs(thrice - 0.5).max() < abs(once - 0.5).max() + 0.1


def test_several_labels_a_document_take_no_more_folds_than_documents() -> None:
    labels = np.ones((7, 2), dtype=bool)
    assert len(folds(labels, 10, 1)) == 7


def test_a_rare_class_is_looked_at_among_many_documents(monkeypatch: pytest.MonkeyPatch) -> None:
    """Its documents are hardly ever drawn by chance, and without them there may be one class alone to learn."""
    monkeypatch.setattr(selection, "MAX_DOCUMENTS", 40)
    labels = np.zeros(4000, dtype=np.int64)
    labels[[7, 1900, 3999]] = 1
    texts = [f"word{number % 50} {'fraud' if label else 'fine'}" for number, label in enumerate(labels)]
    fitted = tfidf_lr.fit(texts, labels, classes=2)
    assert fitted.predict_proba(["fraud"])[0, 1] > fitted.predict_proba(["fine"])[0, 1]


@pytest.mark.parametrize("multilabel", [False, True])
def test_candidates_in_rounds_are_judged_to_the_same_bit(monkeypatch: pytest.MonkeyPatch, multilabel: bool) -> None:
    """Of many classes the scores of all would fill the memory; a round may part those that share a regression."""
    random = np.random.default_rng(3)
    labels_N = random.integers(3, size=60)
    texts = [f"word{number % 7} {'abc'[label]}{random.integers(3)}" for number, label in enumerate(labels_N)]
    labels = np.eye(3, dtype=bool)[labels_N] if multilabel else labels_N
    found = []
    for most in (selection.MAX_SCORES, 4 * 60 * 3, 1):
        monkeypatch.setattr(selection, "MAX_SCORES", most)
        found.append(nb_svm.fit(texts, labels, classes=3))
    for fitted in found[1:]:
        assert fitted.settings == found[0].settings
        assert fitted.model.temperature == found[0].model.temperature
        np.testing.assert_array_equal(fitted.model.weights_VC, found[0].model.weights_VC)


def test_no_more_scores_are_kept_than_memory_is_meant_for(monkeypatch: pytest.MonkeyPatch) -> None:
    documents, classes, candidates = 400, 100, 40
    scores = documents * classes
    monkeypatch.setattr(selection, "MAX_SCORES", 2 * scores)

    def fit_each(features_NV: csr_matrix, labels: np.ndarray, some: Sequence[int]) -> Iterator[LinearModel]:
        yield from (LinearModel(np.full((1, classes), float(one)), np.zeros(classes)) for one in some)

    counts_N1 = csr_matrix(np.arange(1.0, documents + 1)[:, None])
    labels_N = np.arange(documents) % classes
    tracemalloc.start()
    selection.fit_selected(fit_each, range(candidates), counts_N1, lambda _: lambda counts: counts, labels_N, 1)
    most = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert most < candidates / 2 * scores * 8


def test_the_reported_loss_is_that_of_the_labels_as_they_are() -> None:
    sure_NC = np.log(np.array([[0.9, 0.1], [0.2, 0.8]]))
    labels = np.array([0, 1])
    assert log_loss(sure_NC, labels, pseudo=0) == pytest.approx(-(np.log(0.9) + np.log(0.8)) / 2)
    several = np.eye(2, dtype=bool)[labels]
    odds_NC = np.log([[3.0, 0.5], [0.25, 4.0]])
    expected = -np.log([3 / 4, 1 - 1 / 3, 1 - 1 / 5, 4 / 5]).mean()
    assert log_loss(odds_NC, several, pseudo=0) == pytest.approx(expected)
