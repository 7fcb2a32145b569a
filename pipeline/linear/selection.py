"""Choice of a linear model's settings by cross-validation on the training labels alone."""

import warnings
from collections.abc import Callable, Hashable, Iterable, Iterator, Sequence
from itertools import pairwise
from typing import TypeVar

import numpy as np
from scipy.optimize import minimize_scalar
from scipy.sparse import csr_matrix
from sklearn.model_selection import KFold, StratifiedKFold

from pipeline.linear.loss import log_loss
from pipeline.linear.model import LinearModel

Candidate = TypeVar("Candidate")
# Fits a model for each candidate, in their order: (features_NV, labels, candidates) -> models.
Fit = Callable[[csr_matrix, np.ndarray, Sequence[Candidate]], Iterable[LinearModel]]
# Learns from the training documents' counts how counts become features.
Weighting = Callable[[csr_matrix], Callable[[csr_matrix], csr_matrix]]

FOLDS = 5
FOLDS_OF_MANY, MANY = 3, 1000  # with so many documents three folds choose as surely
MAX_DOCUMENTS = 10_000  # documents that the choice looks at; beyond, the best setting hardly moves and time does
MAX_SCORES = 2**25  # that are kept at once, candidates x documents x classes; those of many classes come in rounds
LOG_TEMPERATURES = (-4.0, 6.0)


def fit_selected(
    fit: Fit[Candidate],
    candidates: Sequence[Candidate],
    counts_NV: csr_matrix,
    weighting: Weighting,
    labels: np.ndarray,
    seed: int,
) -> tuple[LinearModel, Candidate]:
    """Fit the candidate whose held-out predictions have the lowest log loss, with the temperature found there.

    Each candidate is judged at its own best temperature (Guo et al. 2017), so that the choice is about the order of
    the scores and not about their scale. Where labels are too few to hold any out, the first candidate is taken.

    Args:
        labels: (N,) class indices, or (N, C) booleans where a document may carry several labels.
        seed: of the folds.
    """
    features = weighting(counts_NV)
    sample_N = _sample(labels, seed)
    if not enough(labels[sample_N], alike(_rows(counts_NV[sample_N]))):
        (model,) = fit(features(counts_NV), labels, candidates[:1])
        return model, candidates[0]
    classes = labels.shape[1] if labels.ndim == 2 else int(labels.max()) + 1
    at_once = max(1, MAX_SCORES // (len(sample_N) * classes))
    judged: list[tuple[float, float]] = []
    for start in range(0, len(candidates), at_once):
        some = candidates[start : start + at_once]
        judged += _judged(fit, some, counts_NV[sample_N], weighting, labels[sample_N], seed)
    best = min(range(len(candidates)), key=lambda place: judged[place][1])
    (model,) = fit(features(counts_NV), labels, candidates[best : best + 1])
    return model.at(judged[best][0]), candidates[best]


def _judged(
    fit: Fit[Candidate],
    candidates: Sequence[Candidate],
    counts_NV: csr_matrix,
    weighting: Weighting,
    labels: np.ndarray,
    seed: int,
) -> list[tuple[float, float]]:
    """Each candidate's best temperature, and the loss there, by scores of models that have not seen the documents."""
    order, scores = [], [[] for _ in candidates]  # type: tuple[list[np.ndarray], list[list[np.ndarray]]]
    copies_N = alike(_rows(counts_NV))
    for train_N, test_N in folds(labels, FOLDS if len(labels) <= MANY else FOLDS_OF_MANY, seed, copies_N):
        # A fold knows the n-grams of its own training documents only, as the final model knows none but its own: with
        # the held-out documents' n-grams in the vocabulary, their features would shrink and mislead the temperature.
        known_V = np.unique(counts_NV[train_N].indices)
        train_counts, test_counts = counts_NV[train_N][:, known_V], counts_NV[test_N][:, known_V]
        features = weighting(train_counts)
        order.append(test_N)
        for place, model in enumerate(fit(features(train_counts), labels[train_N], candidates)):
            scores[place].append(model.scores(features(test_counts)))
    held_out = labels[np.concatenate(order)]
    return [best_temperature(np.concatenate(one), held_out) for one in scores]


def best_temperature(scores_NC: np.ndarray, labels: np.ndarray) -> tuple[float, float]:
    """The temperature that minimises the log loss, and that loss."""

    def loss(log_temperature: float) -> float:
        return log_loss(scores_NC / np.exp(log_temperature), labels)

    found = minimize_scalar(loss, bounds=LOG_TEMPERATURES, method="bounded")
    return float(np.exp(found.x)), float(found.fun)


def enough(labels: np.ndarray, copies_N: np.ndarray | None = None) -> bool:
    """Whether each fold can hold documents out and still leave two classes to learn; arguments as in `folds`."""
    if copies_N is not None:
        labels = labels[_firsts(copies_N)]
    if labels.ndim == 2:
        return len(labels) >= FOLDS
    counts = np.sort(np.bincount(labels, minlength=2))
    return len(labels) >= FOLDS and bool(counts[-2] >= 2)


def alike(keys: Iterable[Hashable]) -> np.ndarray:
    """For each document the first that has its key, (N,): which are copies of which.

    >>> alike(["a", "b", "a"])
    array([0, 1, 0])
    """
    first: dict[Hashable, int] = {}
    return np.array([first.setdefault(key, place) for place, key in enumerate(keys)], dtype=np.int64)


def folds(
    labels: np.ndarray, number: int, seed: int, copies_N: np.ndarray | None = None
) -> list[tuple[np.ndarray, np.ndarray]]:
    """Each document held out once: rows to train on and rows held out, `number` times or as often as a class allows.

    Args:
        labels: (N,) class indices, whose shares each fold keeps, or (N, C) booleans.
        copies_N: what `alike` says of the documents' texts. Copies of one are on one side: a model that has seen the
            answer would look better than it is.
    """
    if copies_N is None:
        return _split(labels, number, seed)
    firsts_M = _firsts(copies_N)
    parts = _split(labels[firsts_M], number, seed)
    return [
        (np.flatnonzero(np.isin(copies_N, firsts_M[train_M])), np.flatnonzero(np.isin(copies_N, firsts_M[held_M])))
        for train_M, held_M in parts
    ]


def _split(labels: np.ndarray, number: int, seed: int) -> list[tuple[np.ndarray, np.ndarray]]:
    if labels.ndim == 2:
        return list(KFold(min(number, len(labels)), shuffle=True, random_state=seed).split(labels))
    stratified = StratifiedKFold(min(number, int(np.bincount(labels).max())), shuffle=True, random_state=seed)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)  # a class with fewer documents than folds is in some of them
        return list(stratified.split(labels, labels))


def _firsts(copies_N: np.ndarray) -> np.ndarray:
    return np.flatnonzero(copies_N == np.arange(len(copies_N)))


def _rows(counts_NV: csr_matrix) -> Iterator[bytes]:
    """What tells one document's features from another's."""
    for start, end in pairwise(counts_NV.indptr):
        yield counts_NV.indices[start:end].tobytes() + counts_NV.data[start:end].tobytes()


def _sample(labels: np.ndarray, seed: int) -> np.ndarray:
    """Rows to choose by: all, or MAX_DOCUMENTS of them and enough of each class for every fold."""
    if len(labels) <= MAX_DOCUMENTS:
        return np.arange(len(labels))
    order = np.random.Generator(np.random.PCG64(seed)).permutation(len(labels))
    taken, others = order[:MAX_DOCUMENTS], order[MAX_DOCUMENTS:]
    if labels.ndim == 2:
        return taken
    there_C = np.bincount(labels[taken], minlength=int(labels.max()) + 1)
    more = [others[labels[others] == label][: FOLDS - there_C[label]] for label in np.flatnonzero(there_C < FOLDS)]
    return np.concatenate([taken, *more])
