"""NB-SVM (Wang & Manning 2012): a linear classifier on binarised n-grams, scaled by naive Bayes log-count ratios."""

from collections.abc import Iterator, Sequence
from itertools import groupby
from typing import NamedTuple

import numpy as np
from scipy.sparse import csr_matrix

from pipeline.linear.features import binarised, learn, token_ngrams
from pipeline.linear.model import LinearModel, fit_binary
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


def fit_predict(
    train_texts: Sequence[str],
    train_labels: np.ndarray,
    test_texts: Sequence[str],
    *,
    classes: int,
    spaced: bool = True,
    seed: int = 1,
) -> np.ndarray:
    """Train on the first texts and classify the second, one label against the rest.

    The regression is logistic where the paper takes a support vector machine, so that there are probabilities.

    Args:
        train_labels: (N,) class indices, or (N, C) booleans where a document may carry several labels.
        classes: C, the number of labels.
        spaced: words are separated by spaces; else the features are characters.

    Returns:
        Probabilities, (len(test_texts), C) float32; each row sums to one where a document has one label.
    """
    vocabulary, counts_NV = learn(token_ngrams(spaced), train_texts, classes)

    def fit(features_NV: csr_matrix, labels: np.ndarray, settings: Sequence[Setting]) -> Iterator[LinearModel]:
        carried_NC = labels if labels.ndim == 2 else np.eye(classes, dtype=bool)[labels]
        return fit_settings(features_NV, carried_NC, settings)

    model, _ = fit_selected(fit, SETTINGS, binarised(counts_NV), train_labels, seed)
    return model.probabilities(binarised(vocabulary.counts(test_texts)), multilabel=train_labels.ndim == 2)


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


def log_count_ratio(features_NV: csr_matrix, positive_N: np.ndarray, smoothing: float) -> np.ndarray:
    """How much more often an n-gram occurs with a label than without it: r = ln(p/|p|) - ln(q/|q|), (V,)."""
    with_V = smoothing + features_NV.T @ positive_N.astype(np.float64)
    without_V = smoothing + features_NV.T @ (~positive_N).astype(np.float64)
    return np.log(with_V / with_V.sum()) - np.log(without_V / without_V.sum())
