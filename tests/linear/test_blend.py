"""Promises of the blend: it knows whom to trust, and is not knowingly worse than either."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from scipy.special import expit, softmax
from sklearn.feature_extraction.text import CountVectorizer

from pipeline.base.errors import UserError
from pipeline.linear import nb_svm, tfidf_lr
from pipeline.linear.artifact import Blend, load_blend, save_blend
from pipeline.linear.blend import Judged, Weights, fit_weights, log_odds
from pipeline.linear.features import learn, token_ngrams, word_ngrams
from pipeline.linear.loss import log_loss

N, C = 2000, 4
LABELS = np.arange(N) % C
TEXTS = ["Red sky at night, sailor's delight!", "no  no\tno", "नमस्ते दुनिया", "", "été à Zürich: 3 ml", "좋은 하루"]


def says(skill: float, seed: int) -> np.ndarray:
    """Calibrated probabilities (N, C) of a model: the more skill, the surer and the more often right."""
    noise_NC = np.random.Generator(np.random.PCG64(seed)).normal(size=(N, C))
    return softmax(skill**2 * np.eye(C)[LABELS] + skill * noise_NC, axis=1)


def drawn(documents: int, seed: int) -> np.ndarray:
    """Rows of a few documents, as many of each class."""
    rows = np.random.Generator(np.random.PCG64(seed)).permutation(N // C)[: documents // C]
    return np.concatenate([C * rows + label for label in range(C)])


def test_who_guesses_gets_no_weight() -> None:
    guesses_NC = softmax(np.random.Generator(np.random.PCG64(9)).normal(size=(N, C)), axis=1)
    assert fit_weights(says(2.0, 1), {"a": guesses_NC}, LABELS).linear_share < 0.1
    assert fit_weights(guesses_NC, {"a": says(2.0, 1)}, LABELS).linear_share > 0.9


def test_all_that_err_apart_are_better_together_and_calibrated() -> None:
    network_NC, linear_NC = says(1.5, 1), {"a": says(1.5, 2), "b": says(1.5, 5)}
    weights = fit_weights(network_NC, linear_NC, LABELS)
    assert [weights.network, *weights.linear.values()] == pytest.approx([1, 1, 1], abs=0.2)
    alone, together = (
        (one_NC.argmax(1) == LABELS).mean()
        for one_NC in (says(1.5, 3), weights.pooled(says(1.5, 3), {"a": says(1.5, 4), "b": says(1.5, 6)}, False))
    )
    assert together > alone + 0.1


@pytest.mark.parametrize(("first", "second"), [(0.5, 2.0), (2.0, 0.5), (1.0, 1.0)])
def test_on_what_it_was_judged_by_it_is_no_worse_than_either(first: float, second: float) -> None:
    judged = Judged("made-up documents", LABELS, says(first, 1), {"a": says(second, 2), "b": says(0.1, 3)})
    losses = judged.losses()
    assert losses["blend"] <= min(losses.values()) + 3e-3


def test_few_documents_do_not_tell_the_best_of_several_from_a_lucky_one() -> None:
    """Four models of equal worth: what few documents say of them is chance, and the even shares are the best."""
    models = {name: says(1.0, seed) for seed, name in enumerate("abcd")}
    unseen = {name: says(1.0, seed) for seed, name in enumerate("abcd", start=10)}
    rights = []
    for seed in range(20):
        rows = drawn(20, seed)
        some = {name: said_NC[rows] for name, said_NC in models.items()}
        weights = fit_weights(np.full((len(rows), C), 1 / C), some, LABELS[rows])
        assert set(weights.linear) == set("abcd")
        together_NC = weights.pooled(np.full((N, C), 1 / C), unseen, False)
        lucky = min(some, key=lambda name: log_loss(log_odds(some[name], False), LABELS[rows]))
        rights.append(((together_NC.argmax(1) == LABELS).mean(), (unseen[lucky].argmax(1) == LABELS).mean()))
    together, alone = np.mean(rights, axis=0)
    assert together > alone + 0.1


@pytest.mark.parametrize("documents", [4, 40, 2000])
def test_leaving_the_even_shares_costs_three_nats_over_all_documents(documents: int) -> None:
    """Of a network that is right each time, in two to one, beside a model that says nothing: the minimum by hand."""
    labels = np.arange(documents) % 2
    network_NC = np.where(np.eye(2)[labels] > 0, 2 / 3, 1 / 3)
    weights = fit_weights(network_NC, {"a": np.full((documents, 2), 0.5)}, labels)
    tried = np.linspace(0, 20, 20_001)
    wrong = 1 / (documents + 2)  # the share of the other class in a target, as `log_loss` has it
    costs = documents * (np.log1p(0.5**tried) + wrong * tried * np.log(2)) + 3 * (tried - 0.5) ** 2
    assert weights.network == pytest.approx(tried[costs.argmin()], abs=5e-3)


def test_a_network_that_is_too_sure_is_cooled_down() -> None:
    overconfident_NC = softmax(4 * np.log(says(1.0, 1)), axis=1)
    weights = fit_weights(overconfident_NC, {"a": says(0.0, 2)}, LABELS)
    assert weights.network == pytest.approx(0.25, abs=0.06)


def test_a_models_share_does_not_depend_on_how_sure_it_says_to_be() -> None:
    """A weight does: who says everything four times as loud has a quarter of it."""
    network_NC, linear_NC = says(1.0, 1), says(1.0, 2)
    loud_NC = softmax(4 * np.log(linear_NC), axis=1)
    quiet, loud = (fit_weights(network_NC, {"a": one_NC}, LABELS) for one_NC in (linear_NC, loud_NC))
    assert loud.linear["a"] == pytest.approx(quiet.linear["a"] / 4, rel=0.1)
    assert loud.linear_share == pytest.approx(quiet.linear_share, abs=0.03)
    assert sum(loud.shares().values()) == pytest.approx(1)


def test_labels_that_stand_alone_are_weighed_as_such() -> None:
    noise_NC = np.random.Generator(np.random.PCG64(5)).normal(size=(N, 2))
    carried_NC = np.stack([LABELS % 2 == 1, LABELS > 1], axis=1)
    knows_NC, guesses_NC = expit(8 * carried_NC - 4 + noise_NC), expit(noise_NC)
    weights = fit_weights(knows_NC, {"a": guesses_NC}, carried_NC)
    assert weights.linear_share < 0.2
    both_NC = weights.pooled(knows_NC, {"a": guesses_NC}, True)
    assert ((both_NC > 0.5) == carried_NC).mean() > 0.95


@pytest.mark.parametrize("multilabel", [False, True])
def test_the_network_alone_is_left_as_it_is(multilabel: bool) -> None:
    network_NC = says(1.0, 1)
    np.testing.assert_allclose(Weights().pooled(network_NC, {"a": says(1.0, 2)}, multilabel), network_NC, atol=1e-6)


def test_the_loss_is_that_of_the_log_odds() -> None:
    p_NC = says(1.0, 1)
    literal = -np.log(p_NC[np.arange(N), LABELS]).mean()
    assert log_loss(log_odds(p_NC, False), LABELS) == pytest.approx(literal, rel=0.05)


@pytest.mark.parametrize("kind", [word_ngrams, token_ngrams])
@pytest.mark.parametrize("spaced", [True, False])
def test_ngrams_are_counted_as_scikit_learn_counts_them(kind, spaced: bool) -> None:
    vocabulary, learnt_NV = learn(kind(spaced), TEXTS, 2)
    again_NV = vocabulary.counts([*TEXTS, "nothing known 7"])
    assert (again_NV[: len(TEXTS)] != learnt_NV).nnz == 0
    ngrams = kind(spaced)
    unit = {"analyzer": "char"} if ngrams.unit == "character" else {"token_pattern": ngrams.unit}
    theirs = CountVectorizer(ngram_range=(1, ngrams.longest), vocabulary=vocabulary.terms, **unit)
    assert (theirs.transform([*TEXTS, "nothing known 7"]) != again_NV).nnz == 0


@pytest.mark.parametrize("spaced", [True, False])
@pytest.mark.parametrize("multilabel", [False, True])
def test_a_blend_comes_back_from_its_folder(spaced: bool, multilabel: bool, tmp_path: Path) -> None:
    texts = [f"{['red', 'blue'][n % 2]} page {n % 5}" for n in range(20)]
    labels = np.eye(2, dtype=bool)[np.arange(20) % 2] if multilabel else np.arange(20) % 2
    learners = {"nb_svm": nb_svm, "tfidf_lr": tfidf_lr}
    fitted = {name: one.fit(texts, labels, classes=2, spaced=spaced) for name, one in learners.items()}
    weights = Weights(0.5, {"nb_svm": 0.25, "tfidf_lr": 0.125}, {"network": 1.5, "nb_svm": 2.0})
    save_blend(tmp_path / "blend", Blend(("red", "blue"), ("backward", "forward"), weights, fitted))
    loaded = load_blend(tmp_path / "blend")
    assert (loaded.labels, loaded.directions) == (("red", "blue"), ("backward", "forward"))
    assert loaded.weights == weights
    said = loaded.said_by_linear(texts)
    assert set(said) == set(learners)
    for name, one in fitted.items():
        np.testing.assert_allclose(said[name], one.predict_proba(texts), atol=1e-5)
    network_NC = np.full((len(texts), 2), 0.5)
    blended_NC = loaded.blended(network_NC, texts, multilabel)
    np.testing.assert_allclose(blended_NC, weights.pooled(network_NC, said, multilabel))
    assert sorted(path.name for path in (tmp_path / "blend").iterdir()) == [
        "config.json",
        "linear.safetensors",
        "terms.json",
    ]


def test_terms_that_two_models_share_are_kept_once(tmp_path: Path) -> None:
    fitted = nb_svm.fit(["red", "blue"] * 5, np.arange(10) % 2, classes=2)
    weights = Weights(0.5, {"one": 0.25, "two": 0.25})
    save_blend(tmp_path / "blend", Blend(("a", "b"), ("forward",), weights, dict.fromkeys(("one", "two"), fitted)))
    assert json.loads((tmp_path / "blend/terms.json").read_text(encoding="utf-8")) == [list(fitted.vocabulary.terms)]
    loaded = load_blend(tmp_path / "blend").linear
    assert loaded["one"].vocabulary is loaded["two"].vocabulary


def test_a_network_alone_has_no_linear_model(tmp_path: Path) -> None:
    save_blend(tmp_path / "blend", Blend(("a", "b"), ("forward",), Weights(), {}))
    loaded = load_blend(tmp_path / "blend")
    probabilities_NC = np.array([[0.2, 0.8]])
    assert loaded.blended(probabilities_NC, ["text"], False) is probabilities_NC


@pytest.mark.parametrize(("multilabel", "cooled"), [(False, [[0.2, 0.8]]), (True, [[1 / 5, 2 / 3]])])
def test_a_network_that_no_linear_model_stands_beside_is_cooled_down_too(
    multilabel: bool, cooled: list[list[float]], tmp_path: Path
) -> None:
    """Half of the log odds: of 1 to 16 they are those of 1 to 4."""
    save_blend(tmp_path / "blend", Blend(("a", "b"), ("forward",), Weights(0.5), {}))
    said_NC = np.array([[1 / 17, 4 / 5 if multilabel else 16 / 17]])
    found_NC = load_blend(tmp_path / "blend").blended(said_NC, ["text"], multilabel)
    np.testing.assert_allclose(found_NC, cooled)


def spoil_terms(folder: Path) -> None:
    (folder / "terms.json").write_text('[["one"]]', encoding="utf-8")


def spoil_arrays(folder: Path) -> None:
    whole = (folder / "linear.safetensors").read_bytes()
    (folder / "linear.safetensors").write_bytes(whole[: len(whole) // 2])


def spoiled_config(change: Callable[[dict[str, Any]], None]) -> Callable[[Path], None]:
    def spoil(folder: Path) -> None:
        config = json.loads((folder / "config.json").read_text(encoding="utf-8"))
        change(config)
        (folder / "config.json").write_text(json.dumps(config), encoding="utf-8")

    return spoil


SPOILT = {
    "terms": spoil_terms,
    "arrays": spoil_arrays,
    "no terms": lambda folder: (folder / "terms.json").unlink(),
    "kind": spoiled_config(lambda config: config["ngrams"][0].update(kind="(a+)+")),
    "vocabulary": spoiled_config(lambda config: config["linear"]["nb_svm"].update(vocabulary=1)),
    "weights": spoiled_config(lambda config: config["weights"].update(linear={"another": 0.5})),
    "networks": spoiled_config(lambda config: config.update(directions=["../elsewhere"])),
}


@pytest.mark.parametrize("spoil", SPOILT.values(), ids=SPOILT.keys())
def test_a_damaged_folder_is_one_line(spoil: Callable[[Path], None], tmp_path: Path) -> None:
    fitted = nb_svm.fit(["red", "blue"] * 5, np.arange(10) % 2, classes=2)
    weights = Weights(0.5, {"nb_svm": 0.5})
    save_blend(tmp_path / "blend", Blend(("red", "blue"), ("forward",), weights, {"nb_svm": fitted}))
    spoil(tmp_path / "blend")
    with pytest.raises(UserError, match="blend") as caught:
        load_blend(tmp_path / "blend")
    assert "\n" not in str(caught.value)
