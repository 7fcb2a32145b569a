"""TF-IDF of words and word pairs with logistic regression: the baseline that everybody knows."""

from collections.abc import Callable, Iterator, Sequence
from functools import partial

import numpy as np
from scipy.sparse import csr_matrix

from pipeline.linear.classifier import NgramClassifier
from pipeline.linear.features import inverse_document_frequency, learn, tf_idf, word_ngrams
from pipeline.linear.model import LinearModel
from pipeline.linear.regression import fit_binary, fit_softmax
from pipeline.linear.selection import fit_selected

STRENGTHS = (10.0, 1.0, 0.1, 100.0)  # scikit-learn's C; the first where there are too few labels to choose


def fit(
    texts: Sequence[str], labels: np.ndarray, *, classes: int, spaced: bool = True, seed: int = 1
) -> NgramClassifier:
    """Train on labelled texts.

    Args:
        labels: (N,) class indices, or (N, C) booleans where a document may carry several labels.
        classes: C, the number of labels.
        spaced: words are separated by spaces; else the features are characters.
        seed: of the folds by which the regularisation is chosen.
    """
    vocabulary, counts_NV = learn(word_ngrams(spaced), texts, classes)

    def weighting(training_NV: csr_matrix) -> Callable[[csr_matrix], csr_matrix]:
        return partial(tf_idf, idf_V=inverse_document_frequency(training_NV))

    def fit_each(features_NV: csr_matrix, labels: np.ndarray, strengths: Sequence[float]) -> Iterator[LinearModel]:
        for strength in strengths:
            yield fit_linear(features_NV, labels, classes, strength)

    model, strength = fit_selected(fit_each, STRENGTHS, counts_NV, weighting, labels, seed)
    idf_V = inverse_document_frequency(counts_NV)
    return NgramClassifier(vocabulary, idf_V, model, multilabel=labels.ndim == 2, settings={"strength": strength})


def fit_linear(features_NV: csr_matrix, labels: np.ndarray, classes: int, strength: float) -> LinearModel:
    """One multinomial logistic regression, or with several labels a document one regression for each label."""
    if labels.ndim == 1:
        return fit_softmax(features_NV, labels, classes, strength)
    weights, biases = zip(*(fit_binary(features_NV, positive_N, strength) for positive_N in labels.T), strict=True)
    return LinearModel(np.stack(weights, axis=1), np.array(biases))
