"""TF-IDF of words and word pairs with logistic regression: the baseline that everybody knows."""

from collections.abc import Iterator, Sequence

import numpy as np
from scipy.sparse import csr_matrix

from pipeline.linear.features import inverse_document_frequency, learn, tf_idf, word_ngrams
from pipeline.linear.model import LinearModel, fit_binary, fit_softmax
from pipeline.linear.selection import fit_selected

STRENGTHS = (10.0, 1.0, 0.1, 100.0)  # scikit-learn's C; the first where there are too few labels to choose


def fit_predict(
    train_texts: Sequence[str],
    train_labels: np.ndarray,
    test_texts: Sequence[str],
    *,
    classes: int,
    spaced: bool = True,
    seed: int = 1,
) -> np.ndarray:
    """Train on the first texts and classify the second.

    Args:
        train_labels: (N,) class indices, or (N, C) booleans where a document may carry several labels.
        classes: C, the number of labels.
        spaced: words are separated by spaces; else the features are characters.

    Returns:
        Probabilities, (len(test_texts), C) float32; each row sums to one where a document has one label.
    """
    vocabulary, counts_NV = learn(word_ngrams(spaced), train_texts, classes)
    idf_V = inverse_document_frequency(counts_NV)

    def fit(features_NV: csr_matrix, labels: np.ndarray, strengths: Sequence[float]) -> Iterator[LinearModel]:
        for strength in strengths:
            yield fit_linear(features_NV, labels, classes, strength)

    model, _ = fit_selected(fit, STRENGTHS, tf_idf(counts_NV, idf_V), train_labels, seed)
    return model.probabilities(tf_idf(vocabulary.counts(test_texts), idf_V), multilabel=train_labels.ndim == 2)


def fit_linear(features_NV: csr_matrix, labels: np.ndarray, classes: int, strength: float) -> LinearModel:
    """One multinomial logistic regression, or with several labels a document one regression for each label."""
    if labels.ndim == 1:
        return fit_softmax(features_NV, labels, classes, strength)
    weights, biases = zip(*(fit_binary(features_NV, positive_N, strength) for positive_N in labels.T), strict=True)
    return LinearModel(np.stack(weights, axis=1), np.array(biases))
