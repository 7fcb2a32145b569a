"""Wide and deep (Cheng et al. 2016, arXiv 1606.07792): a network and linear models over n-grams as one classifier.

The log odds of all are added, each times a weight: a logarithmic opinion pool, which is also a temperature for each.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np
from scipy.special import expit, softmax

from pipeline.linear.loss import log_loss

# Probabilities of single precision end about here; their logarithms must not.
LEAST = 1e-7
MOST = 20.0  # of a weight
# Nats, over all documents, that it costs to move a weight by one from its even share: a few documents cannot tell the
# best of several models from a lucky one, many can.
CAUTION = 3.0


@dataclass(frozen=True)
class Weights:
    """What the log odds of each are multiplied by."""

    network: float = 1.0
    # By name of the model; none of them is 0.
    linear: Mapping[str, float] = field(default_factory=dict)
    # By name, `network` among them: how far its log odds lie from even ones, root mean square over the documents that
    # judged. Naive Bayes is surer than others by far, and its weight small for that alone. 1 where it is not said.
    spreads: Mapping[str, float] = field(default_factory=dict)

    def shares(self) -> dict[str, float]:
        """How much of what all say together is whose, by name: weights times spreads, of a sum of one."""
        weights = {"network": self.network, **self.linear}
        said = {name: weight * self.spreads.get(name, 1.0) for name, weight in weights.items()}
        return {name: one / sum(said.values()) for name, one in said.items()}

    @property
    def linear_share(self) -> float:
        """0: the network alone, 1: the linear models alone."""
        return 1 - self.shares()["network"]

    def pooled(self, network_NC: np.ndarray, linear_NC: Mapping[str, np.ndarray], multilabel: bool) -> np.ndarray:
        """The probabilities (N, C) of all as one: rows sum to one or, with `multilabel`, each label has its own."""
        scores_NC = self.network * log_odds(network_NC, multilabel)
        for name, weight in self.linear.items():
            scores_NC = scores_NC + weight * log_odds(linear_NC[name], multilabel)
        return expit(scores_NC) if multilabel else softmax(scores_NC, axis=1)

    def with_student(self, student_NC: np.ndarray, teacher_NC: np.ndarray, multilabel: bool) -> np.ndarray:
        """The probabilities (N, C) of all as one and of a network that they have taught.

        Of the mean of their log odds the student has the share that the network has among these.
        """
        shares = Weights(1 - self.linear_share, {"teacher": self.linear_share})
        return shares.pooled(student_NC, {"teacher": teacher_NC}, multilabel)


def log_odds(probabilities_NC: np.ndarray, multilabel: bool) -> np.ndarray:
    """Log odds up to a constant of each row; with `multilabel`, of each label against its absence."""
    p_NC = np.clip(probabilities_NC.astype(np.float64), LEAST, 1 - LEAST)
    return np.log(p_NC) - np.log1p(-p_NC) if multilabel else np.log(p_NC)


def fit_weights(network_NC: np.ndarray, linear_NC: Mapping[str, np.ndarray], labels: np.ndarray) -> Weights:
    """The weights with the lowest log loss, none below 0, after a price for leaving the even shares.

    Even are a half for the network and as much for the linear models together.

    Args:
        network_NC, linear_NC: probabilities of documents that the models have not seen.
        labels: (N,) class indices, or (N, C) booleans where a document may carry several labels.
    """
    from scipy.optimize import minimize  # what only weighs, and fits nothing, starts sooner without

    said_MNC = np.stack([log_odds(one_NC, labels.ndim == 2) for one_NC in (network_NC, *linear_NC.values())])
    even_M = np.array([0.5, *(0.5 / len(linear_NC) for _ in linear_NC)])

    def loss(weights_M: np.ndarray) -> float:
        leaving = CAUTION / len(labels) * float(((weights_M - even_M) ** 2).sum())
        return log_loss(np.tensordot(weights_M, said_MNC, 1), labels) + leaving

    # Convex, so that it does not matter where the search starts.
    found = minimize(loss, even_M, bounds=[(0.0, MOST)] * len(even_M), method="L-BFGS-B")
    network, *linear = (round(float(weight), 4) for weight in found.x)
    kept = {name: weight for name, weight in zip(linear_NC, linear, strict=True) if weight > 0}
    spreads = {name: spread(one_NC, labels.ndim == 2) for name, one_NC in {"network": network_NC, **linear_NC}.items()}
    chosen = Weights(network, kept, {name: one for name, one in spreads.items() if name == "network" or name in kept})
    # Where none says anything, the labels' shares are all there is to know, and one of them has to say it.
    return chosen if chosen.network > 0 or chosen.linear else Weights()


def spread(probabilities_NC: np.ndarray, multilabel: bool) -> float:
    """Root mean square of the log odds, of each row around their mean; with `multilabel` around even ones."""
    odds_NC = log_odds(probabilities_NC, multilabel)
    around_NC = odds_NC if multilabel else odds_NC - odds_NC.mean(axis=1, keepdims=True)
    return max(LEAST, round(float(np.sqrt((around_NC**2).mean())), 4))


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

    def weights(self) -> Weights:
        """Those of the network and of every linear model that has a say."""
        return fit_weights(self.network_NC, self.linear_NC, self.labels)

    def losses(self) -> dict[str, float]:
        """Log loss of each model, and of the blend, with the labels as they are."""
        multilabel = self.labels.ndim == 2
        all_NC = self.weights().pooled(self.network_NC, self.linear_NC, multilabel)
        models = {"network": self.network_NC, **self.linear_NC, "blend": all_NC}
        return {name: log_loss(log_odds(one_NC, multilabel), self.labels, pseudo=0) for name, one_NC in models.items()}
