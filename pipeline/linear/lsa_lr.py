"""Logistic regression on latent semantic analysis of the unlabelled text (Deerwester et al. 1990)."""

from collections.abc import Iterator, Sequence

import numpy as np
from scipy.sparse import csr_matrix

from pipeline.linear.classifier import NgramClassifier
from pipeline.linear.model import LinearModel
from pipeline.linear.selection import fit_selected
from pipeline.linear.space import Space, as_sparse
from pipeline.linear.tfidf_lr import fit_linear

STRENGTHS = (100.0, 10.0, 1000.0, 1.0)  # scikit-learn's C; the first where there are too few labels to choose


def fit(texts: Sequence[str], labels: np.ndarray, *, classes: int, space: Space, seed: int = 1) -> NgramClassifier:
    """Train on labelled texts; arguments as in `tfidf_lr.fit`.

    The regression is on R directions, and directions are sums of n-grams: what comes out is a linear model over the
    space's n-grams like any other.
    """

    def fit_each(features_NR: csr_matrix, labels: np.ndarray, strengths: Sequence[float]) -> Iterator[LinearModel]:
        for strength in strengths:
            yield fit_linear(features_NR, labels, classes, strength)

    places_NR = as_sparse(space.places(texts))
    model, strength = fit_selected(fit_each, STRENGTHS, places_NR, lambda _: _as_they_are, labels, seed)
    whole = LinearModel(space.basis_VR @ model.weights_VC, model.bias_C, model.temperature)
    settings = {"strength": strength}
    return NgramClassifier(space.vocabulary, space.idf_V, whole, multilabel=labels.ndim == 2, settings=settings)


def _as_they_are(features_NR: csr_matrix) -> csr_matrix:
    """Directions need no weighting by the training documents."""
    return features_NR
