"""NB-SVM (Wang & Manning 2012): a linear classifier on binarised n-grams, scaled by naive Bayes log-count ratios."""

from collections.abc import Iterator, Sequence
from itertools import groupby
from typing import NamedTuple

import numpy as np
from scipy.sparse import csr_matrix

from pipeline.linear.classifier import NgramClassifier
from pipeline.linear.features import binarised, learn, token_ngrams
from pipeline.linear.model import LinearModel
from pipeline.linear.regression import fit_binary
from pipeline.linear.selection import fit_selected


class Setting(NamedTuple):
    """What the paper calls alpha, C and beta."""

    smoothing: float  # added to each n-gram's count
    strength: float  # inverse of the regularisation
    trust: float  # of the trained weights against their mean magnitude, which is naive Bayes


# The first where there are too few labels to choose.
SETTINGS = tuple(
    Setting(smoothing, strength, trust)
    for smoothing in (1.0, 0.1)
    for strength in (0.1, 0.01, 1.0, 10.0)
    for trust in (1.0, 0.5, 0.25)
)


def fit(
    texts: Sequence[str], labels: np.ndarray, *, classes: int, spaced: bool = True, seed: int = 1
) -> NgramClassifier:
    """Train on labelled texts, one label against the rest; arguments as in `tfidf_lr.fit`.

    The regression is logistic where the paper takes a support vector machine, so that there are probabilities.
    """
    vocabulary, counts_NV = learn(token_ngrams(spaced), texts, classes)

    def fit_each(features_NV: csr_matrix, labels: np.ndarray, settings: Sequence[Setting]) -> Iterator[LinearModel]:
        if labels.ndim == 2:
            return fit_settings(features_NV, labels, settings)
        if classes == 2:
            return map(_both_sides, fit_settings(features_NV, labels[:, None] == 1, settings))
        return fit_settings(features_NV, np.eye(classes, dtype=bool)[labels], settings)

    model, setting = fit_selected(fit_each, SETTINGS, counts_NV, lambda _: binarised, labels, seed)
    return NgramClassifier(vocabulary, None, model, multilabel=labels.ndim == 2, settings=setting._asdict())


def fit_settings(features_NV: csr_matrix, carried_NC: np.ndarray, settings: Sequence[Setting]) -> Iterator[LinearModel]:
    """Fit each setting in turn; neighbours that differ in `trust` alone share their regressions."""
    for (smoothing, strength), group in groupby(settings, key=lambda setting: setting[:2]):
        ratios_VC = np.stack([log_count_ratio(features_NV, one_N, smoothing) for one_N in carried_NC.T], axis=1)
        fitted = [
            fit_binary(features_NV.multiply(ratio_V).tocsr(), carried_N, strength)
            for ratio_V, carried_N in zip(ratios_VC.T, carried_NC.T, strict=True)
        ]
        weights_VC = np.stack([weights_V for weights_V, _ in fitted], axis=1)
        bias_C = np.array([bias for _, bias in fitted])
        mean_C = np.abs(weights_VC).mean(axis=0)
        for setting in group:
            interpolated_VC = (1 - setting.trust) * mean_C + setting.trust * weights_VC
            yield LinearModel(ratios_VC * interpolated_VC, bias_C)


def _both_sides(model: LinearModel) -> LinearModel:
    """Two classes from a model of the second: against the rest, the first is its mirror image."""
    return LinearModel(np.hstack([-model.weights_VC, model.weights_VC]), np.hstack([-model.bias_C, model.bias_C]))


def log_count_ratio(features_NV: csr_matrix, positive_N: np.ndarray, smoothing: float) -> np.ndarray:
    """How much more often an n-gram occurs with a label than without it: r = ln(p/|p|) - ln(q/|q|), (V,)."""
    with_V = smoothing + features_NV.T @ positive_N.astype(np.float64)
    without_V = smoothing + features_NV.T @ (~positive_N).astype(np.float64)
    return np.log(with_V / with_V.sum()) - np.log(without_V / without_V.sum())
