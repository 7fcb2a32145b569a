"""Logistic regression on latent semantic analysis of the unlabelled text (Deerwester et al. 1990)."""

from collections.abc import Iterator, Sequence
from itertools import product

import numpy as np
from scipy.sparse import csr_matrix

from pipeline.linear.classifier import NgramClassifier
from pipeline.linear.model import LinearModel
from pipeline.linear.selection import fit_selected
from pipeline.linear.space import Space, as_sparse
from pipeline.linear.tfidf_lr import fit_linear

# What cross-validation chooses from, the first of each where there are too few labels to choose: scikit-learn's C, and
# how many of the strongest directions are looked at. Few labels can only weigh few directions.
STRENGTHS = (100.0, 10.0, 1000.0, 1.0)
DIRECTIONS = (64, 32, 128, 256)

Candidate = tuple[int, float]


def fit(texts: Sequence[str], labels: np.ndarray, *, classes: int, space: Space, seed: int = 1) -> NgramClassifier:
    """Train on labelled texts; arguments as in `tfidf_lr.fit`.

    The regression is on R directions, and directions are sums of n-grams: what comes out is a linear model over the
    space's n-grams like any other.
    """
    there = space.basis_VR.shape[1]

    def fit_each(features_NR: csr_matrix, labels: np.ndarray, candidates: Sequence[Candidate]) -> Iterator[LinearModel]:
        for directions, strength in candidates:
            yield _widened(fit_linear(features_NR[:, :directions], labels, classes, strength), there)

    candidates = list(product(dict.fromkeys(min(one, there) for one in DIRECTIONS), STRENGTHS))
    places_NR = as_sparse(space.places(texts))
    model, (directions, strength) = fit_selected(fit_each, candidates, places_NR, lambda _: _as_they_are, labels, seed)
    whole = LinearModel(space.basis_VR @ model.weights_VC, model.bias_C, model.temperature)
    settings = {"directions": float(directions), "strength": strength}
    return NgramClassifier(space.vocabulary, space.idf_V, whole, multilabel=labels.ndim == 2, settings=settings)


def _widened(model: LinearModel, there: int) -> LinearModel:
    """The model over all directions, the further ones without weight."""
    missing = there - len(model.weights_VC)
    return LinearModel(np.pad(model.weights_VC, ((0, missing), (0, 0))), model.bias_C, model.temperature)


def _as_they_are(features_NR: csr_matrix) -> csr_matrix:
    """Directions need no weighting by the training documents."""
    return features_NR
