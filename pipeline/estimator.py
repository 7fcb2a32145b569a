"""The fine-tuning of a classifier as a scikit-learn estimator (public as `pipeline.UlmfitClassifier`)."""

import contextlib
import io
import logging
import tempfile
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any, Self

import numpy as np
import torch
from sklearn.base import BaseEstimator, ClassifierMixin
from sklearn.utils import Tags, check_consistent_length, column_or_1d
from sklearn.utils.multiclass import check_classification_targets
from sklearn.utils.validation import check_is_fitted

from pipeline.base.errors import UserError
from pipeline.classifier.artifact import LoadedClassifier, save_classifier
from pipeline.classifier.data import InMemory, LabelledDocuments
from pipeline.classifier.loss import targets
from pipeline.classifier.network import classifier_network
from pipeline.classifier.train import ClassifierTraining
from pipeline.config.chosen import CONFIGS
from pipeline.config.classifier import ClassifierConfig
from pipeline.config.hardware import HardwareConfig
from pipeline.config.read import load as load_config
from pipeline.config.read import parse
from pipeline.inference.predictor import Predictor
from pipeline.interop.folders import CONFIG, MODEL, TOKENIZER, load_language_model
from pipeline.text import tokenizer as bpe
from pipeline.text.documents import clean
from pipeline.training.run import TALKATIVE

SAVED = frozenset({CONFIG, MODEL, TOKENIZER})  # all that the folder of a classifier holds


class UlmfitClassifier(ClassifierMixin, BaseEstimator):
    """Fine-tune a language model into a classifier of texts (Howard & Ruder 2018, section 3.3).

    Works wherever scikit-learn takes a classifier: pipelines, `cross_val_score`, `GridSearchCV`. `X` is a sequence of
    N texts (list, array or Series of str), `y` N labels of any kind that scikit-learn sorts, one for each text. Equal
    data and parameters give equal probabilities. Training takes one device and torch's present number of threads.
    It is the network alone: the linear model that `dvc repro` blends it with is scikit-learn's own business here
    (`VotingClassifier`, `StackingClassifier`).

    Parameters
    ----------
    language_model : folder of a language model, as the stages pretrain and finetune_lm write it.
    config : recipe of the fine-tuning: the name of a file in `configs/classifier/`, the path of such a file, or a
        `ClassifierConfig`.
    epochs, learning_rate, discriminative, unfreeze, batch_documents, class_weights, seed : keys of the recipe that are
        to differ from `config`; None keeps what it says.
    verbose : show progress on stderr.

    Attributes
    ----------
    classes_ : the labels, sorted: array (C,).
    predictor_ : the trained classifier as a `pipeline.inference.predictor.Predictor`.

    Raises
    ------
    ValueError : from `fit`, where `X` or `y` cannot be trained on.
    pipeline.base.errors.UserError : from `fit`, for a missing or damaged folder and a recipe that is not valid.
    """

    def __init__(
        self,
        language_model: str | Path = "models/domain/forward",
        config: str | Path | ClassifierConfig = "ulmfit",
        *,
        epochs: float | None = None,
        learning_rate: float | None = None,
        discriminative: float | None = None,
        unfreeze: str | None = None,
        batch_documents: int | None = None,
        class_weights: str | None = None,
        seed: int | None = None,
        verbose: bool = False,
    ) -> None:
        self.language_model = language_model
        self.config = config
        self.epochs = epochs
        self.learning_rate = learning_rate
        self.discriminative = discriminative
        self.unfreeze = unfreeze
        self.batch_documents = batch_documents
        self.class_weights = class_weights
        self.seed = seed
        self.verbose = verbose

    def fit(self, X: Iterable[str], y: Iterable[Any]) -> Self:
        """Train on N texts and their N labels, at least two different ones."""
        texts = _texts(X)
        if y is None:
            raise ValueError("UlmfitClassifier requires y to be passed, but the target y is None")
        labels_N = column_or_1d(y, warn=True)
        missing = [row for row, label in enumerate(labels_N.tolist()) if _is_missing(label)]
        if missing:
            raise ValueError(f"y[{missing[0]}] is {labels_N[missing[0]]}: no label; leave out rows without one")
        check_consistent_length(texts, labels_N)
        check_classification_targets(labels_N)
        classes, numbers_N = np.unique(labels_N, return_inverse=True)
        if len(classes) < 2:
            raise ValueError(f"y holds one class, {classes[0]!r}; a classifier needs at least two classes")
        predictor = self._train(texts, numbers_N, classes)
        self.classes_, self.predictor_ = classes, predictor  # both, or as they were
        return self

    def predict_proba(self, X: Iterable[str]) -> np.ndarray:
        """Probabilities float64 (N, C), columns in the order of `classes_`."""
        check_is_fitted(self)
        return self.predictor_.predict_proba(_texts(X))

    def predict(self, X: Iterable[str]) -> np.ndarray:
        """The most probable class of each text: array (N,)."""
        best_N = self.predict_proba(X).argmax(axis=1)
        return self.classes_[best_N]

    def save(self, folder: str | Path) -> None:
        """Write the classifier for `TextClassifier.load` and `ulmfit predict`; labels are written as text.

        An earlier one is replaced; a folder with anything else in it is a `UserError`.
        """
        check_is_fitted(self)
        folder = Path(folder).resolve()
        if folder.exists() and not (folder.is_dir() and {one.name for one in folder.iterdir()} <= SAVED):
            raise UserError(f"{folder}: holds something else; name a folder that does not exist yet")
        ((member, tokenizer),) = self.predictor_.members
        with tempfile.TemporaryDirectory() as kept:
            file = Path(kept) / "tokenizer.json"
            bpe.save(tokenizer, file)
            save_classifier(
                folder,
                member.network,
                labels=member.labels,
                multilabel=False,
                direction=member.direction,
                tokenizer=file,
            )

    def _train(self, texts: list[str], numbers_N: np.ndarray, classes: np.ndarray) -> Predictor:
        config = self._config()
        start = load_language_model(self.language_model)
        tokens = bpe.encode(bpe.load(start.tokenizer), list(map(clean, texts)))
        network = classifier_network(start.model, config, classes=len(classes))
        reverse = start.direction == "backward"
        train = LabelledDocuments(InMemory(tokens), targets(numbers_N.tolist(), network.classes, False), reverse)
        none = LabelledDocuments(InMemory([]), targets([], network.classes, False), reverse)
        hardware = HardwareConfig(devices=1, threads=torch.get_num_threads())
        with _as_it_was(), contextlib.nullcontext() if self.verbose else contextlib.redirect_stderr(io.StringIO()):
            ClassifierTraining(network, train, none, config, hardware, "fit").run(None)
        labels = tuple(str(label) for label in classes)
        return Predictor([LoadedClassifier(network, labels, False, start.direction, start.tokenizer)])

    def _config(self) -> ClassifierConfig:
        """The recipe, with what this estimator's parameters say differently, validated as a config file is."""
        recipe = self.config
        if not isinstance(recipe, ClassifierConfig):
            path = Path(recipe)
            recipe = load_config(
                ClassifierConfig, path if path.suffix == ".yaml" else CONFIGS / "classifier" / f"{recipe}.yaml"
            )
        changed = {
            name: value for name, value in self.get_params().items() if name in asdict(recipe) and value is not None
        }
        plain = {name: value.item() if isinstance(value, np.generic) else value for name, value in changed.items()}
        return parse(ClassifierConfig, asdict(recipe) | plain, type(self).__name__)

    def __sklearn_tags__(self) -> Tags:
        tags = super().__sklearn_tags__()
        tags.input_tags.one_d_array = True
        tags.input_tags.two_d_array = False
        tags.input_tags.string = True
        return tags


def _texts(X: Iterable[str]) -> list[str]:
    """A list of texts, or `ValueError` as scikit-learn expects it."""
    if isinstance(X, str | Mapping) or not isinstance(X, Iterable):
        raise ValueError("X must be a sequence of texts; for one text write [text]")
    if getattr(X, "ndim", 1) != 1:
        raise ValueError('X has columns; give the one that holds the texts, for instance X["text"]')
    texts = list(X)
    if not texts:
        raise ValueError("X holds 0 sample(s) while a minimum of 1 is required")
    for number, text in enumerate(texts):
        if not isinstance(text, str):
            raise ValueError(f"X[{number}] is {text!r:.40} ({type(text).__name__}), not a str")
    return texts


def _is_missing(label: Any) -> bool:
    """Whether it is None, NaN, NaT, or pandas' NA, which does not say whether it equals itself."""
    try:
        return label is None or bool(label != label)
    except TypeError:
        return True


@contextlib.contextmanager
def _as_it_was() -> Iterator[None]:
    """Give torch's settings and random state and the levels of Lightning's loggers back as they were.

    Training asks for deterministic algorithms, leaves fresh memory unfilled and lets Lightning speak of errors alone.
    """
    deterministic = torch.are_deterministic_algorithms_enabled()
    warn_only = torch.is_deterministic_algorithms_warn_only_enabled()
    filled = torch.utils.deterministic.fill_uninitialized_memory  # type: ignore[attr-defined]
    levels = {name: logging.getLogger(name).level for name in TALKATIVE}
    try:
        with torch.random.fork_rng(devices=[]):
            yield
    finally:
        torch.use_deterministic_algorithms(deterministic, warn_only=warn_only)
        torch.utils.deterministic.fill_uninitialized_memory = filled  # type: ignore[attr-defined]
        for name, level in levels.items():
            logging.getLogger(name).setLevel(level)
