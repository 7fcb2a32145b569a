"""A linear classifier as plain arrays (what trains one is in `regression`, which takes longer to import)."""

from dataclasses import dataclass, replace

import numpy as np
from scipy.sparse import csr_matrix
from scipy.special import expit, softmax


@dataclass(frozen=True)
class LinearModel:
    """Scores are features @ weights + bias; the temperature turns them into probabilities."""

    weights_VC: np.ndarray
    bias_C: np.ndarray
    temperature: float = 1.0

    def scores(self, features_NV: csr_matrix) -> np.ndarray:
        """Log odds up to the temperature: (N, C)."""
        return features_NV @ self.weights_VC + self.bias_C

    def probabilities(self, features_NV: csr_matrix, multilabel: bool) -> np.ndarray:
        """(N, C) float32: rows sum to one, or with `multilabel` each label has a probability of its own."""
        scores_NC = self.scores(features_NV) / self.temperature
        return (expit(scores_NC) if multilabel else softmax(scores_NC, axis=1)).astype(np.float32)

    def at(self, temperature: float) -> "LinearModel":
        """The same model with another temperature."""
        return replace(self, temperature=temperature)
