"""The loss by which settings, temperatures and weights are chosen on documents that were held out."""

import numpy as np
from scipy.special import log_expit, log_softmax


def log_loss(scores_NC: np.ndarray, labels: np.ndarray, pseudo: float = 1.0) -> float:
    """Mean negative log-probability, with targets smoothed by pseudo-documents of every class (Platt 1999).

    Without them a few separable documents would ask for certainty.

    Args:
        scores_NC: log odds.
        labels: (N,) class indices, or (N, C) booleans where a document may carry several labels.
        pseudo: documents of each class; 0: the labels as they are, for reports.
    """
    count, classes = scores_NC.shape
    if labels.ndim == 1:
        targets_NC = (np.eye(classes)[labels] * count + pseudo) / (count + pseudo * classes)
        return float(-(targets_NC * log_softmax(scores_NC, axis=1)).sum(axis=1).mean())
    targets_NC = (labels * count + pseudo) / (count + pseudo * 2)
    return float(-(targets_NC * log_expit(scores_NC) + (1 - targets_NC) * log_expit(-scores_NC)).mean())
