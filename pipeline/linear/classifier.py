"""A trained n-gram classifier: a list of n-grams and a few arrays."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from scipy.sparse import csr_matrix

from pipeline.linear.features import Vocabulary, binarised, tf_idf
from pipeline.linear.model import LinearModel


@dataclass(frozen=True)
class NgramClassifier:
    """Texts in, probabilities out."""

    vocabulary: Vocabulary
    idf_V: np.ndarray | None  # features are TF-IDF; None: whether an n-gram occurs
    model: LinearModel
    multilabel: bool
    settings: Mapping[str, float]  # what cross-validation on the training labels chose

    def predict_proba(self, texts: Sequence[str]) -> np.ndarray:
        """(N, C) float32: rows sum to one, or with `multilabel` each label has a probability of its own."""
        return self.probabilities(self.vocabulary.counts(texts))

    def probabilities(self, counts_NV: csr_matrix) -> np.ndarray:
        """The same of the vocabulary's counts."""
        features_NV = binarised(counts_NV) if self.idf_V is None else tf_idf(counts_NV, self.idf_V)
        return self.model.probabilities(features_NV, self.multilabel)
