"""The loss by which settings, temperatures and weights are chosen on documents that were held out."""

import numpy as np
from scipy.special import log_expit, log_softmax


def log_loss(scores_NC: np.ndarray, labels: np.ndarray) -> float:
    """Mean negative log-probability, with targets smoothed by one pseudo-document per class (Platt 1999).

    Without them a few separable documents would ask for certainty.

    Args:
        scores_NC: log odds.
        labels: (N,) class indices, or (N, C) booleans where a document may carry several labels.
    """
    count, classes = scores_NC.shape
    if labels.ndim == 1:
        targets_NC = (np.eye(classes)[labels] * count + 1) / (count + classes)
        return float(-(targets_NC * log_softmax(scores_NC, axis=1)).sum(axis=1).mean())
    targets_NC = (labels * count + 1) / (count + 2)
    return float(-(targets_NC * log_expit(scores_NC) + (1 - targets_NC) * log_expit(-scores_NC)).mean())
