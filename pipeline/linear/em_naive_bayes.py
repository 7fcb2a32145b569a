"""Naive Bayes that EM has taught the domain's unlabelled text (Nigam, McCallum, Thrun & Mitchell 2000, "Text
Classification from Labeled and Unlabeled Documents using EM"; TF-IDF of length one as counts: Rennie et al. 2003).

A teacher says how likely each of some unlabelled documents is of each class. Naive Bayes learns the classes' n-grams
from them, says it anew of all, and so on. A handful of labels reaches thousands of documents in seconds. One step keeps
to what the teacher says; many find the groups that the text itself falls into, which is far better where these are the
classes (topics) and worse where they are not (opinions): both are learnt, and held-out labels decide how much each
counts. One step follows a regression on the text's latent directions, which sees other things than the network does.
Many are begun by the network where there is one: from a worse guess they may end with two classes for each other.
"""

import hashlib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import islice

import numpy as np
from scipy.sparse import csr_matrix

from pipeline.linear.classifier import NgramClassifier
from pipeline.linear.features import tf_idf
from pipeline.linear.model import LinearModel
from pipeline.linear.space import Space

FEW, MANY = "nb_em_1", "nb_em_15"
STEPS = {FEW: 1, MANY: 15}  # name of the model -> its steps
WORTH = 0.3  # of an unlabelled document beside a labelled one
SMOOTHING = 0.3  # added to each n-gram's weight in a class, in units of the mean weight
SHARPNESS = 2.0  # what log ratios are multiplied with: features of length one add up to less than words counted
CHARACTERS = 25_000_000  # of text that it learns from, at most: some 80 MB as n-grams of words
CHARACTER_NGRAMS = 8  # that a text has for each n-gram of words; so much less of it is read where they are the features
LEAST = 1e-12  # probability of a class
BALANCING = 10  # passes that bring the classes' shares to those of the labels


@dataclass(frozen=True)
class Unlabelled:
    """Documents of the domain as n-grams, and the space that was learnt from them."""

    space: Space
    features_NV: csr_matrix
    # What tells one text from another, uint64.
    keys_N: np.ndarray

    @classmethod
    def read(cls, texts: Iterable[str], space: Space) -> "Unlabelled":
        """The texts, or every so many-th where they are long.

        They are gone through twice, and no more of them is held than what is taken.
        """
        most = CHARACTERS // (CHARACTER_NGRAMS if space.vocabulary.ngrams.unit == "character" else 1)
        some = list(islice(texts, 0, None, max(1, -(-sum(map(len, texts)) // most))))
        return cls(space, tf_idf(space.vocabulary.counts(some), space.idf_V), _keys(some))

    def without(self, texts: Sequence[str]) -> "Unlabelled":
        """All but these: what it has guessed of a document itself would speak for the guess."""
        others_N = ~np.isin(self.keys_N, _keys(texts))
        return Unlabelled(self.space, self.features_NV[others_N], self.keys_N[others_N])


@dataclass(frozen=True)
class Guess:
    """What a teacher says of some unlabelled documents."""

    # In the space that was learnt from all of them.
    features_MV: csr_matrix
    probabilities_MC: np.ndarray


def _keys(texts: Sequence[str]) -> np.ndarray:
    digests = (hashlib.blake2b(text.encode(), digest_size=8).digest() for text in texts)
    return np.frombuffer(b"".join(digests), dtype=np.uint64)


def fit(
    texts: Sequence[str],
    labels_N: np.ndarray,
    *,
    classes: int,
    unlabelled: Unlabelled,
    guess: Guess,
    steps: int,
) -> NgramClassifier:
    """Train on labelled texts, one label each, and on the unlabelled ones; arguments as in `tfidf_lr.fit`.

    Its probabilities are surer than they should be, as naive Bayes's are, which whoever blends them corrects.

    Args:
        guess: a teacher's of the same labels, from which naive Bayes begins.
        steps: of EM, one at least.
    """
    space = unlabelled.space
    given_NV = tf_idf(space.vocabulary.counts(texts), space.idf_V)
    given_VC = given_NV.T @ np.eye(classes)[labels_N]
    shares_C = (np.bincount(labels_N, minlength=classes) + 1) / (len(labels_N) + classes)

    def maximised(guess: Guess) -> LinearModel:
        guessed_MC = balanced(guess.probabilities_MC, shares_C)
        return naive_bayes(given_VC + WORTH * (guess.features_MV.T @ guessed_MC), shares_C)

    model = maximised(guess)
    for _ in range(steps - 1):
        model = maximised(Guess(unlabelled.features_NV, model.probabilities(unlabelled.features_NV, False)))
    return NgramClassifier(space.vocabulary, space.idf_V, model, multilabel=False, settings={"steps": float(steps)})


def naive_bayes(weight_VC: np.ndarray, shares_C: np.ndarray) -> LinearModel:
    """The multinomial model of the classes' n-gram weights (V, C) and of their shares (C,)."""
    smoothed_VC = weight_VC + SMOOTHING * weight_VC.mean()
    log_VC = np.log(smoothed_VC / smoothed_VC.sum(axis=0))
    return LinearModel(SHARPNESS * (log_VC - log_VC.mean(axis=1, keepdims=True)), np.log(shares_C))


def balanced(probabilities_NC: np.ndarray, shares_C: np.ndarray) -> np.ndarray:
    """The probabilities with each class's mean brought to its share: a teacher's favourite class must not take over."""
    found_NC = probabilities_NC.astype(np.float64) + LEAST
    for _ in range(BALANCING):
        found_NC *= shares_C / found_NC.mean(axis=0)
        found_NC /= found_NC.sum(axis=1, keepdims=True)
    return found_NC
