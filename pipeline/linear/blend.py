"""Wide and deep (Cheng et al. 2016, arXiv 1606.07792): a network and a linear model over n-grams as one classifier.

The log odds of both are added, each times a weight: a logarithmic opinion pool, which is also a temperature for either.
"""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from scipy.special import expit, softmax

from pipeline.linear.loss import log_loss

# Probabilities of single precision end about here; their logarithms must not.
LEAST = 1e-7
MOST = 20.0  # of a weight
PRICE = 1e-4  # nats that a weight of one has to be worth: who says the same of all documents gets none


@dataclass(frozen=True)
class Weights:
    """What the log odds of each are multiplied by."""

    network: float = 1.0
    linear: float = 0.0

    @property
    def linear_share(self) -> float:
        """0: the network alone, 1: the linear model alone."""
        return self.linear / (self.network + self.linear)

    def pooled(self, network_NC: np.ndarray, linear_NC: np.ndarray, multilabel: bool) -> np.ndarray:
        """The probabilities (N, C) of both as one: rows sum to one or, with `multilabel`, each label has its own."""
        scores_NC = self.network * log_odds(network_NC, multilabel) + self.linear * log_odds(linear_NC, multilabel)
        return expit(scores_NC) if multilabel else softmax(scores_NC, axis=1)


def log_odds(probabilities_NC: np.ndarray, multilabel: bool) -> np.ndarray:
    """Log odds up to a constant of each row; with `multilabel`, of each label against its absence."""
    p_NC = np.clip(probabilities_NC.astype(np.float64), LEAST, 1 - LEAST)
    return np.log(p_NC) - np.log1p(-p_NC) if multilabel else np.log(p_NC)


def fit_weights(network_NC: np.ndarray, linear_NC: np.ndarray, labels: np.ndarray) -> Weights:
    """The weights with the lowest log loss, none below 0.

    Args:
        network_NC, linear_NC: probabilities of documents that the models have not seen.
        labels: (N,) class indices, or (N, C) booleans where a document may carry several labels.
    """

    from scipy.optimize import minimize  # what only weighs, and fits nothing, starts sooner without

    def loss(weights: np.ndarray) -> float:
        scores_NC = weights[0] * network + weights[1] * linear
        return log_loss(scores_NC, labels) + PRICE * float(weights.sum())

    network, linear = (log_odds(one_NC, labels.ndim == 2) for one_NC in (network_NC, linear_NC))
    # Convex, so that it does not matter where the search starts.
    found = minimize(loss, np.array([0.5, 0.5]), bounds=[(0.0, MOST)] * 2, method="L-BFGS-B")
    chosen = Weights(*(round(float(weight), 4) for weight in found.x))
    # Where neither says anything, the labels' shares are all there is to know, and one of them has to say it.
    return chosen if chosen.network + chosen.linear > 0 else Weights()


@dataclass(frozen=True)
class Judged:
    """What network and linear models said of documents that they had not seen, and what was true."""

    # What the documents are, for people.
    by: str
    # (N,) class indices, or (N, C) booleans where a document may carry several labels.
    labels: np.ndarray
    network_NC: np.ndarray
    # By name of the model.
    linear_NC: Mapping[str, np.ndarray]

    @property
    def best(self) -> str:
        """The linear model with the lowest log loss at the temperature that suits it, which its weight will be."""
        return min(self.linear_NC, key=lambda name: self._loss_at_best(self.linear_NC[name]))

    def weights(self) -> Weights:
        """Those of the network and of the best linear model."""
        return fit_weights(self.network_NC, self.linear_NC[self.best], self.labels)

    def losses(self) -> dict[str, float]:
        """Log loss of each model, and of the blend."""
        both_NC = self.weights().pooled(self.network_NC, self.linear_NC[self.best], self.labels.ndim == 2)
        models = {"network": self.network_NC, **self.linear_NC, "blend": both_NC}
        return {name: self._loss(one_NC) for name, one_NC in models.items()}

    def _loss_at_best(self, probabilities_NC: np.ndarray) -> float:
        from pipeline.linear.selection import best_temperature  # with scikit-learn, which weighing does without

        return best_temperature(log_odds(probabilities_NC, self.labels.ndim == 2), self.labels)[1]

    def _loss(self, probabilities_NC: np.ndarray) -> float:
        return log_loss(log_odds(probabilities_NC, self.labels.ndim == 2), self.labels)
