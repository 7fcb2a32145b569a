"""Self-training (Scudder 1965; Yarowsky 1995) of a linear model on the domain's unlabelled text.

A teacher that knows the text's latent directions names the unlabelled documents; students that look at single n-grams
and at directions learn from those it is surest of, name all documents again, and so on. A handful of labels reaches
thousands of documents in seconds.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial

import numpy as np
from scipy.sparse import csr_matrix, vstack
from scipy.special import softmax

from pipeline.linear import lsa_lr
from pipeline.linear.classifier import NgramClassifier
from pipeline.linear.features import tf_idf
from pipeline.linear.model import LinearModel
from pipeline.linear.regression import fit_softmax
from pipeline.linear.space import DOCUMENTS, Space, as_sparse, spread

ROUNDS = 2
KEPT = 0.5  # share of the documents of each class that students learn from: the surest
GIVEN = 5.0  # a label that was given counts as much as so many that were guessed
DIRECTIONS = 128  # of the space, for the student that looks at these
STRENGTH = 1.0  # scikit-learn's C of the student that looks at n-grams, and of the one that looks at directions
LEAST = 1e-12  # of a probability whose logarithm is taken
BALANCING = 10  # passes that bring the classes' shares to those of the labels


@dataclass(frozen=True)
class Unlabelled:
    """Documents of the domain, as n-grams and as places in its space."""

    space: Space
    features_NV: csr_matrix
    places_NR: csr_matrix

    @classmethod
    def read(cls, texts: Sequence[str], space: Space) -> "Unlabelled":
        """Some of the texts, spread evenly."""
        features_NV = tf_idf(space.vocabulary.counts(spread(texts, DOCUMENTS)), space.idf_V)
        return cls(space, features_NV, as_sparse(features_NV @ space.basis_VR[:, :DIRECTIONS]))


def fit(texts: Sequence[str], labels_N: np.ndarray, *, classes: int, unlabelled: Unlabelled) -> NgramClassifier:
    """Train on labelled texts, one label each, and on the unlabelled ones; arguments as in `tfidf_lr.fit`.

    Returns the student that looks at n-grams. Its probabilities are those of a model that has seen its own guesses:
    surer than they should be, which whoever blends them corrects.
    """
    space = unlabelled.space
    teacher = lsa_lr.fit(texts, labels_N, classes=classes, space=space)
    given_NV = tf_idf(space.vocabulary.counts(texts), space.idf_V)
    given_NR = as_sparse(given_NV @ space.basis_VR[:, :DIRECTIONS])
    shares_C = (np.bincount(labels_N, minlength=classes) + 1) / (len(labels_N) + classes)
    log_NC = _log(teacher.model, unlabelled.features_NV)
    for _ in range(ROUNDS):
        guessed_NC = balanced(softmax(log_NC, axis=1), shares_C)
        sure_N = surest(guessed_NC)
        learn = partial(
            fit_softmax,
            labels_N=np.concatenate([labels_N, guessed_NC[sure_N].argmax(axis=1)]),
            classes=classes,
            strength=STRENGTH,
            counting_N=np.concatenate([np.full(len(labels_N), GIVEN), np.ones(len(sure_N))]),
        )
        student = learn(vstack([given_NV, unlabelled.features_NV[sure_N]]).tocsr())
        other = learn(vstack([given_NR, unlabelled.places_NR[sure_N]]).tocsr())
        log_NC = _log(student, unlabelled.features_NV) + _log(other, unlabelled.places_NR)
    settings = {"documents": float(unlabelled.features_NV.shape[0]), "rounds": float(ROUNDS)}
    return NgramClassifier(space.vocabulary, space.idf_V, student, multilabel=False, settings=settings)


def balanced(probabilities_NC: np.ndarray, shares_C: np.ndarray) -> np.ndarray:
    """The probabilities with each class's mean brought to its share: a teacher's favourite class must not take over."""
    found_NC = probabilities_NC
    for _ in range(BALANCING):
        found_NC = found_NC * (shares_C / found_NC.mean(axis=0))
        found_NC = found_NC / found_NC.sum(axis=1, keepdims=True)
    return found_NC


def surest(probabilities_NC: np.ndarray) -> np.ndarray:
    """Rows (ascending) of the surest half of each class's documents, one at least where the class has any."""
    named_N, sure_N = probabilities_NC.argmax(axis=1), probabilities_NC.max(axis=1)
    kept = []
    for one in range(probabilities_NC.shape[1]):
        rows = np.flatnonzero(named_N == one)
        kept.append(rows[np.argsort(-sure_N[rows], kind="stable")][: int(np.ceil(KEPT * len(rows)))])
    return np.sort(np.concatenate(kept))


def _log(model: LinearModel, features: csr_matrix) -> np.ndarray:
    return np.log(model.probabilities(features, False).astype(np.float64) + LEAST)
