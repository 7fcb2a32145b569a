"""Promises of the public library: `TextClassifier`, and `UlmfitClassifier` as scikit-learn uses an estimator."""

import copy
import logging
import pickle
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch
from sklearn.base import clone
from sklearn.exceptions import NotFittedError
from sklearn.model_selection import GridSearchCV, cross_val_score
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer

import pipeline
from pipeline import TextClassifier, UlmfitClassifier
from pipeline.base.errors import UserError
from pipeline.base.files import write_json
from pipeline.config.classifier import ClassifierConfig
from pipeline.config.tokenizer import TokenizerConfig
from pipeline.interop.folders import save_language_model
from pipeline.models.build import build
from pipeline.models.settings import TransformerSettings
from pipeline.text import tokenizer as bpe
from tests.classifier.small import TEXTS, saved
from tests.workspace import LABELS, sentences

RECIPE = ClassifierConfig(
    epochs=6, unfreeze="full", batch_documents=8, learning_rate=0.01, head_width=0, head_dropout=(0.1,), chunk_tokens=32
)
SETTINGS = TransformerSettings(layers=1, width=32, heads=2, feedforward=64, max_positions=64, dropout=0.1)


def saved_language_model(folder: Path, direction: str) -> Path:
    """An untrained language model whose tokenizer knows the words of `sentences`."""
    tokenizer = folder / "tokenizer.json"
    bpe.save(bpe.train((text for text, _ in sentences(100, 1)), TokenizerConfig(vocabulary=400)), tokenizer)
    model = build(SETTINGS, bpe.load(tokenizer).get_vocab_size(), seed=1)
    save_language_model(folder / direction, model, direction=direction, tokenizer=tokenizer)
    tokenizer.unlink()
    return folder / direction


@pytest.fixture(scope="module")
def language_model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return saved_language_model(tmp_path_factory.mktemp("language_model"), "forward")


@pytest.fixture(scope="module")
def texts() -> list[str]:
    return [text for text, _ in sentences(48, 2)]


@pytest.fixture(scope="module")
def y() -> np.ndarray:
    return np.array([LABELS[label] for _, label in sentences(48, 2)])


@pytest.fixture(scope="module")
def fitted(language_model: Path, texts: list[str], y: np.ndarray) -> UlmfitClassifier:
    return UlmfitClassifier(language_model, RECIPE).fit(texts, y)


@pytest.fixture(autouse=True)
def _one_thread() -> Iterator[None]:
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


def test_text_classifier_loads_and_labels(tmp_path: Path) -> None:
    saved(tmp_path / "classifier" / "forward")
    classifier = TextClassifier.load(tmp_path / "classifier")
    assert isinstance(classifier, TextClassifier)
    assert classifier.labels == ["harbour", "kitchen", "도시"]
    probabilities_NC = classifier.predict_proba(TEXTS)
    assert classifier.predict(TEXTS) == [classifier.labels[c] for c in probabilities_NC.argmax(axis=1)]
    with pytest.raises(AttributeError):
        pipeline.NoSuchThing  # noqa: B018


def test_it_learns_and_generalises(fitted: UlmfitClassifier, texts: list[str], y: np.ndarray) -> None:
    assert fitted.classes_.tolist() == sorted(LABELS)
    assert fitted.score(texts, y) > 0.9
    others = sentences(60, 9)
    assert fitted.score([text for text, _ in others], [LABELS[label] for _, label in others]) > 0.6, "chance is 0.33"
    probabilities_NC = fitted.predict_proba(texts)
    np.testing.assert_allclose(probabilities_NC.sum(axis=1), 1)
    assert fitted.predict(texts).tolist() == fitted.classes_[probabilities_NC.argmax(axis=1)].tolist()


def test_a_backward_language_model_reads_from_the_end(texts: list[str], y: np.ndarray, tmp_path: Path) -> None:
    classifier = UlmfitClassifier(saved_language_model(tmp_path, "backward"), RECIPE).fit(texts, y)
    assert classifier.predictor_.directions == ["backward"]
    assert classifier.score(texts, y) > 0.9


def test_equal_data_and_parameters_give_equal_probabilities(
    fitted: UlmfitClassifier, texts: list[str], y: np.ndarray
) -> None:
    again = clone(fitted).fit(np.array(texts, dtype=object), list(y))
    assert np.array_equal(again.predict_proba(texts), fitted.predict_proba(texts))
    other = clone(fitted).set_params(seed=7).fit(texts, y)
    assert not np.array_equal(other.predict_proba(texts), fitted.predict_proba(texts))


def test_it_comes_back_from_pickle_and_from_its_folder(
    fitted: UlmfitClassifier, texts: list[str], tmp_path: Path
) -> None:
    texts = [*texts, "a literal <bos> and <eos>"]
    copy = pickle.loads(pickle.dumps(fitted))
    assert np.array_equal(copy.predict_proba(texts), fitted.predict_proba(texts))
    fitted.save(tmp_path / "saved")
    loaded = TextClassifier.load(tmp_path / "saved")
    assert np.array_equal(loaded.predict_proba(texts), fitted.predict_proba(texts))
    assert loaded.predict(texts) == fitted.predict(texts).tolist()


def test_labels_may_be_numbers(language_model: Path, texts: list[str], y: np.ndarray, tmp_path: Path) -> None:
    numbers = np.where(y == "harbour", 7, -1)
    classifier = UlmfitClassifier(language_model, RECIPE, epochs=1).fit(texts, numbers)
    assert classifier.classes_.tolist() == [-1, 7]
    assert set(classifier.predict(texts)) <= {-1, 7}
    classifier.save(tmp_path / "saved")
    assert TextClassifier.load(tmp_path / "saved").labels == ["-1", "7"]


def test_cross_validation_grid_search_and_pipelines(language_model: Path, texts: list[str], y: np.ndarray) -> None:
    classifier = UlmfitClassifier(language_model, RECIPE)
    assert cross_val_score(classifier, texts, y, cv=3).mean() > 0.5, "chance is 0.33"
    search = GridSearchCV(classifier, {"learning_rate": np.array([1e-5, 0.01])}, cv=2).fit(texts, y)
    assert search.best_params_ == {"learning_rate": 0.01}
    assert search.best_estimator_.score(texts, y) > 0.9
    shouting = make_pipeline(FunctionTransformer(lambda X: [text.lower() for text in X]), classifier)
    assert shouting.fit([text.upper() for text in texts], y).score([text.upper() for text in texts], y) > 0.9


def test_parameters_are_stored_untouched_and_change_the_recipe() -> None:
    classifier = UlmfitClassifier(config=RECIPE, epochs=np.int64(3), unfreeze="last")
    assert classifier.get_params()["config"] is RECIPE
    assert (classifier._config().epochs, classifier._config().unfreeze) == (3, "last")
    assert classifier._config().learning_rate == RECIPE.learning_rate
    with pytest.raises(UserError, match=r"UlmfitClassifier: .*unfreeze"):
        UlmfitClassifier(config=RECIPE, unfreeze="never")._config()


def test_recipe_by_name_and_by_path(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write_json(tmp_path / "configs/classifier/mine.yaml", {"epochs": 2, "learning_rate": 0.5})
    monkeypatch.chdir(tmp_path)
    for config in ("mine", "configs/classifier/mine.yaml", tmp_path / "configs/classifier/mine.yaml"):
        assert UlmfitClassifier(config=config)._config() == ClassifierConfig(epochs=2, learning_rate=0.5)
    with pytest.raises(UserError, match=r'min\.yaml: no such file; did you mean "mine"'):
        UlmfitClassifier(config="min")._config()


def test_what_cannot_be_trained_on_is_refused(language_model: Path, texts: list[str], y: np.ndarray) -> None:
    classifier = UlmfitClassifier(language_model, RECIPE)
    for X, labels, message in [
        (texts, None, "requires y"),
        (texts, ["same"] * len(texts), "one class"),
        (texts, y[:-1], "inconsistent numbers of samples"),
        (texts, np.linspace(0, 1, len(texts)), "Unknown label type: continuous"),
        (texts, np.eye(48), "1d array"),
        ([], [], r"0 sample\(s\)"),
        ("a text", ["a"], r"write \[text\]"),
        ([*texts[:-1], None], y, r"X\[47\] is None"),
        (np.array(texts)[:, None], y, "X has columns"),
        ({text: text for text in texts}, y, r"write \[text\]"),
    ]:
        with pytest.raises(ValueError, match=message):
            classifier.fit(X, labels)
    with pytest.raises(UserError, match="no such folder"):
        UlmfitClassifier(language_model / "nowhere", RECIPE).fit(texts, y)
    with pytest.raises(NotFittedError):
        UlmfitClassifier(language_model, RECIPE).predict(texts)


def test_saving_replaces_an_earlier_classifier_and_nothing_else(fitted: UlmfitClassifier, tmp_path: Path) -> None:
    fitted.save(tmp_path / "mine")
    fitted.save(tmp_path / "mine")
    (tmp_path / "mine/thesis.txt").write_text("years of work")
    (tmp_path / "file").write_text("a file")
    for taken in (tmp_path / "mine", tmp_path / "file", tmp_path):
        with pytest.raises(UserError, match="holds something else; name a folder that does not exist yet"):
            fitted.save(taken)
    assert (tmp_path / "mine/thesis.txt").read_text() == "years of work"


@pytest.mark.parametrize("missing", [None, float("nan"), pd.NA, pd.NaT])
def test_a_missing_label_is_named(language_model: Path, missing: object) -> None:
    y = np.array(["a", "b", missing, "a"], dtype=object)
    with pytest.raises(ValueError, match=r"y\[2\] is (None|nan|<NA>|NaT): no label"):
        UlmfitClassifier(language_model=language_model).fit(["one", "two", "three", "four"], y)


def test_a_fit_that_fails_leaves_what_was_fitted(
    fitted: UlmfitClassifier, texts: list[str], language_model: Path
) -> None:
    classifier = copy.deepcopy(fitted)
    before = classifier.predict(texts[:4]).tolist()
    classifier.language_model = language_model / "nowhere"
    with pytest.raises(UserError):
        classifier.fit(texts, np.array(["cat", "dog", "owl"] * (len(texts) // 3)))
    assert classifier.predict(texts[:4]).tolist() == before
    never = UlmfitClassifier(language_model / "nowhere", RECIPE)
    with pytest.raises(UserError):
        never.fit(texts, np.arange(len(texts)) % 2)
    with pytest.raises(NotFittedError):
        never.predict(texts)


def test_torch_settings_of_the_caller_are_left_alone(language_model: Path, texts: list[str], y: np.ndarray) -> None:
    def settings() -> tuple[object, ...]:
        levels = [logging.getLogger(name).level for name in ("pytorch_lightning", "lightning_fabric")]
        filled = torch.utils.deterministic.fill_uninitialized_memory  # type: ignore[attr-defined]
        return torch.get_num_threads(), torch.are_deterministic_algorithms_enabled(), filled, levels

    logging.getLogger("pytorch_lightning").setLevel(logging.INFO)  # other tests of this process train as well
    torch.utils.deterministic.fill_uninitialized_memory = True  # type: ignore[attr-defined]
    before, state = settings(), torch.get_rng_state()
    UlmfitClassifier(language_model, RECIPE, epochs=1).fit(texts, y)
    assert settings() == before
    assert torch.equal(torch.get_rng_state(), state)


def test_it_is_quiet_unless_asked(
    language_model: Path, texts: list[str], y: np.ndarray, capfd: pytest.CaptureFixture[str]
) -> None:
    UlmfitClassifier(language_model, RECIPE, epochs=1).fit(texts, y)
    shown = capfd.readouterr()
    assert (shown.out, shown.err) == ("", "")
    UlmfitClassifier(language_model, RECIPE, epochs=1, verbose=True).fit(texts, y)
    assert "steps" in capfd.readouterr().err
