"""The baselines learn what can be learnt, choose their settings from the training labels alone, and repeat."""

from pathlib import Path

import numpy as np
import pytest
from sklearn.naive_bayes import BernoulliNB

from pipeline.linear import majority, nb_svm, tfidf_lr
from pipeline.linear.artifact import Blend, load_blend, save_blend
from pipeline.linear.blend import Weights
from pipeline.linear.em_naive_bayes import Unlabelled
from pipeline.linear.features import binarised, learn, token_ngrams
from pipeline.linear.learners import Learners
from pipeline.linear.model import LinearModel
from pipeline.linear.nb_svm import Setting, fit_settings, log_count_ratio
from pipeline.linear.regression import fit_binary, fit_softmax
from pipeline.linear.selection import best_temperature
from pipeline.linear.space import learn_space

LEARNERS = [tfidf_lr, nb_svm]
CLUES = {True: ["good fine", "bad poor", "odd weird"], False: ["좋아요", "싫어요", "이상해"]}
FILLER = {True: ["the", "film", "was", "seen", "on", "a", "day", "with", "people"], False: list("가나다라마바사아자차")}


def planted(documents: int, seed: int, *, classes: int = 3, spaced: bool = True) -> tuple[list[str], np.ndarray]:
    """Texts of filler with one clue of their class."""
    generator = np.random.default_rng(seed)
    labels = np.arange(documents) % classes
    between = " " if spaced else ""
    texts = []
    for label in labels:
        words = [*generator.choice(FILLER[spaced], 8), *generator.choice(CLUES[spaced][label].split(), 1)]
        texts.append(between.join(generator.permutation(words)))
    return texts, labels


@pytest.mark.parametrize("spaced", [True, False], ids=["English", "Korean without spaces"])
@pytest.mark.parametrize("learner", LEARNERS, ids=lambda one: one.__name__)
def test_a_planted_task_is_learnt_far_better_than_by_the_majority(learner, spaced: bool) -> None:
    texts, labels = planted(60, 1, spaced=spaced)
    test_texts, true = planted(90, 2, spaced=spaced)
    learnt = learner.fit(texts, labels, classes=3, spaced=spaced).predict_proba(test_texts)
    base = majority.fit(texts, labels, classes=3, spaced=spaced).predict_proba(test_texts)
    assert (base.argmax(axis=1) == true).mean() == pytest.approx(1 / 3)
    assert (learnt.argmax(axis=1) == true).mean() > 0.9
    assert learnt.dtype == np.float32
    np.testing.assert_allclose(learnt.sum(axis=1), 1, atol=1e-6)


@pytest.mark.parametrize("learner", LEARNERS, ids=lambda one: one.__name__)
def test_two_runs_give_equal_bits(learner) -> None:
    texts, labels = planted(40, 1)
    first, second = (learner.fit(texts, labels, classes=3).predict_proba(texts) for _ in range(2))
    assert first.tobytes() == second.tobytes()


@pytest.mark.parametrize("learner", LEARNERS, ids=lambda one: one.__name__)
def test_a_document_may_carry_several_labels_or_none(learner) -> None:
    texts = ["red circle", "red square", "blue circle", "blue square", "circle", "red", "blank page", "grey"] * 6
    carried_NC = np.array([["red" in one, "circle" in one] for one in texts])
    probabilities = learner.fit(texts, carried_NC, classes=2).predict_proba(["a red circle", "a red page", "a page"])
    assert (probabilities > 0.5).tolist() == [[True, True], [True, False], [False, False]]


@pytest.mark.parametrize("learner", LEARNERS, ids=lambda one: one.__name__)
@pytest.mark.parametrize(
    "labels", [[0, 1, 2], [0, 0, 0, 0, 0, 0, 0, 1, 1, 2, 2], [0, 0, 0, 0, 0, 0, 0, 1, 1, 2]], ids=str
)
def test_very_few_labels_are_enough_to_train(learner, labels: list[int]) -> None:
    texts = [f"{CLUES[True][label]} word other{number}" for number, label in enumerate(labels)]
    probabilities = learner.fit(texts, np.array(labels), classes=3).predict_proba(CLUES[True])
    assert np.isfinite(probabilities).all()
    assert probabilities.argmax(axis=1).tolist() == [0, 1, 2]


SIGNS = {"emoji": ["😀", "😡", "🤔"], "single letters": ["x", "y", "z"]}


@pytest.mark.parametrize("signs", SIGNS.values(), ids=SIGNS)
@pytest.mark.parametrize("multilabel", [False, True])
def test_texts_without_any_word_of_two_letters_are_learnt_by_their_signs_and_else_by_the_labels_shares(
    signs: list[str], multilabel: bool, tmp_path: Path
) -> None:
    labels_N = np.array([0, 0, 0, 1, 1, 2] * 10)
    texts = [" ".join([signs[label]] * (n % 4 + 1)) for n, label in enumerate(labels_N)]
    labels = np.eye(3, dtype=bool)[labels_N] if multilabel else labels_N
    space = learn_space(texts * 4, spaced=True)
    assert space is not None
    unlabelled = None if multilabel else Unlabelled.read(texts * 4, space)
    learners = Learners(3, True, space, unlabelled)
    fitted = learners.fit(learners.names, texts, labels)
    weights = Weights(0.5, dict.fromkeys(fitted, 0.1))
    save_blend(tmp_path / "blend", Blend(tuple("abc"), ("forward",), weights, fitted))
    said = load_blend(tmp_path / "blend").said_by_linear([*signs, "no such words"])
    assert fitted["tfidf_lr"].vocabulary.terms == ()
    np.testing.assert_allclose(said.pop("tfidf_lr"), [[1 / 2, 1 / 3, 1 / 6]] * 4, atol=0.05)
    for name, one_NC in said.items():
        assert one_NC[:3].argmax(axis=1).tolist() == [0, 1, 2], name


def test_one_document_with_words_may_be_held_out_from_the_others() -> None:
    texts, labels_N = [*"xyxyxyxyxy", "words at last"], np.array([0, 1] * 5 + [0])
    for labels in (labels_N, np.eye(2, dtype=bool)[labels_N]):
        assert np.isfinite(tfidf_lr.fit(texts, labels, classes=2).predict_proba(["x", "words"])).all()


@pytest.mark.parametrize("learner", [*LEARNERS, majority], ids=lambda one: one.__name__)
def test_no_test_documents_give_no_rows(learner) -> None:
    texts, labels = planted(12, 1)
    assert learner.fit(texts, labels, classes=3).predict_proba([]).shape == (0, 3)


def test_probabilities_are_calibrated_on_held_out_documents() -> None:
    """Half of the labels are noise: a careful classifier says so."""
    texts, labels = planted(600, 1, classes=2)
    noisy = np.where(np.random.default_rng(3).random(600) < 0.5, 1 - labels, labels)
    test_texts, _ = planted(200, 2, classes=2)
    for learner in LEARNERS:
        assert learner.fit(texts, noisy, classes=2).predict_proba(test_texts).max(axis=1).mean() < 0.65


@pytest.mark.parametrize("learner", LEARNERS, ids=lambda one: one.__name__)
def test_unknown_words_in_new_documents_do_not_make_probabilities_overconfident(learner) -> None:
    """Short texts full of words that occur nowhere else, as with few labels: confidence still means accuracy."""
    generator = np.random.default_rng(1)

    def texts(labels: np.ndarray) -> list[str]:
        clue = np.where(generator.random(len(labels)) < 0.75, labels, 1 - labels)
        rare = generator.integers(10**9, size=(len(labels), 12))
        return [
            f"{CLUES[True][one]} {' '.join(f'w{word}' for word in row)}" for one, row in zip(clue, rare, strict=True)
        ]

    labels, true = np.arange(80) % 2, np.arange(400) % 2
    probabilities = learner.fit(texts(labels), labels, classes=2).predict_proba(texts(true))
    accuracy = (probabilities.argmax(axis=1) == true).mean()
    assert accuracy > 0.65
    assert probabilities.max(axis=1).mean() == pytest.approx(accuracy, abs=0.1)


def test_log_count_ratio_is_that_of_the_paper() -> None:
    features_NV = binarised(learn(token_ngrams(spaced=True), ["a b", "a", "c"], classes=2)[1])  # terms: a, a b, b, c
    p, q = np.array([3, 2, 2, 1]), np.array([1, 1, 1, 2])
    expected = np.log((p / p.sum()) / (q / q.sum()))
    np.testing.assert_allclose(log_count_ratio(features_NV, np.array([True, True, False]), 1.0), expected)


def test_nb_svm_without_trust_in_its_weights_orders_documents_as_naive_bayes_does() -> None:
    texts, labels = planted(40, 5, classes=2)
    features_NV = binarised(learn(token_ngrams(spaced=True), texts, classes=2)[1])
    carried_NC = np.eye(2, dtype=bool)[labels]
    (model,) = fit_settings(features_NV, carried_NC, [Setting(1.0, 1.0, 0.0)])
    ratio = log_count_ratio(features_NV, carried_NC[:, 1], 1.0)
    scores = model.scores(features_NV)[:, 1]
    np.testing.assert_allclose(np.corrcoef(scores, features_NV @ ratio)[0, 1], 1, atol=1e-9)
    bayes = BernoulliNB().fit(features_NV, labels).predict_log_proba(features_NV)
    assert np.corrcoef(scores, bayes[:, 1] - bayes[:, 0])[0, 1] > 0.9


def test_two_classes_are_mirror_images_so_that_one_regression_does(monkeypatch) -> None:
    texts, labels = planted(30, 4, classes=2)
    features_NV = binarised(learn(token_ngrams(spaced=True), texts, classes=2)[1])
    setting = Setting(1.0, 1.0, 0.5)
    (both,) = fit_settings(features_NV, np.eye(2, dtype=bool)[labels], [setting])
    (one,) = fit_settings(features_NV, labels[:, None] == 1, [setting])
    scores_NC = both.scores(features_NV)
    np.testing.assert_allclose(scores_NC[:, 0], -scores_NC[:, 1], atol=1e-3)
    np.testing.assert_allclose(scores_NC[:, 1], one.scores(features_NV)[:, 0], atol=1e-12)
    monkeypatch.setattr("pipeline.linear.nb_svm.SETTINGS", (setting,))
    fitted = nb_svm.fit(texts, labels, classes=2)
    np.testing.assert_allclose(fitted.model.scores(features_NV), scores_NC, atol=1e-3)


def test_the_choice_among_many_documents_looks_at_a_sample_of_them(monkeypatch) -> None:
    monkeypatch.setattr("pipeline.linear.selection.MAX_DOCUMENTS", 40)
    monkeypatch.setattr("pipeline.linear.selection.MANY", 30)
    texts, labels = planted(120, 1)
    seen = []
    fit_linear = tfidf_lr.fit_linear
    monkeypatch.setattr(tfidf_lr, "fit_linear", lambda *args: seen.append(args[0].shape[0]) or fit_linear(*args))
    fitted = tfidf_lr.fit(texts, labels, classes=3)
    assert seen[-1] == 120
    assert set(seen[:-1]) <= {26, 27}
    assert (fitted.predict_proba(texts).argmax(axis=1) == labels).mean() > 0.9


def test_a_class_absent_from_training_is_improbable_and_does_not_stop_the_fit() -> None:
    texts, labels = planted(20, 1, classes=2)
    features_NV = binarised(learn(token_ngrams(spaced=True), texts, classes=3)[1])
    model = fit_softmax(features_NV, labels, 3, 1.0)
    assert (model.probabilities(features_NV, multilabel=False)[:, 2] < 0.2).all()
    weights_V, bias = fit_binary(features_NV, np.zeros(20, dtype=bool), 1.0)
    assert not weights_V.any()
    assert bias < -2


def test_the_best_temperature_undoes_a_wrong_scale() -> None:
    generator = np.random.default_rng(1)
    logits_NC = generator.normal(size=(4000, 3))
    labels = (logits_NC + generator.gumbel(size=logits_NC.shape)).argmax(axis=1)
    assert best_temperature(logits_NC * 7, labels)[0] == pytest.approx(7, rel=0.1)
    assert best_temperature(logits_NC, labels)[0] == pytest.approx(1, rel=0.1)


def test_temperature_changes_no_decision() -> None:
    model = LinearModel(np.array([[1.0, -1.0, 0.5]]), np.zeros(3))
    features_NV = np.array([[1.0], [-2.0]])
    cold = model.at(0.1).probabilities(features_NV, multilabel=False)
    assert (cold.argmax(axis=1) == model.probabilities(features_NV, multilabel=False).argmax(axis=1)).all()
