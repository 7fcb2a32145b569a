"""How far probabilities can be trusted: reliability table and expected calibration error (Guo et al. 2017)."""

from dataclasses import dataclass

import numpy as np

BINS = 15


@dataclass(frozen=True)
class Bin:
    """Decisions of similar confidence: mean confidence, share that was right, and how many there are."""

    confidence: float
    accuracy: float
    count: int


def reliability(carried_NC: np.ndarray, probabilities_NC: np.ndarray, multilabel: bool) -> list[Bin]:
    """The bins of equal width that hold anything, from low confidence to high.

    With one label a document the confidence is that of the decided class. With several, each label of each document
    counts: its probability, against whether the document carries it.
    """
    if multilabel:
        confidence, right = probabilities_NC.ravel().astype(np.float64), carried_NC.ravel()
    else:
        confidence = probabilities_NC.max(axis=1).astype(np.float64)
        right = carried_NC[np.arange(len(carried_NC)), probabilities_NC.argmax(axis=1)]
    # Bin m is ((m - 1) / M, m / M], as in the paper; a probability of 0 joins the first.
    place = np.clip(np.ceil(confidence * BINS).astype(np.int64) - 1, 0, BINS - 1)
    count = np.bincount(place, minlength=BINS)
    held = count > 0
    mean = np.bincount(place, confidence, BINS)[held] / count[held]
    accuracy = np.bincount(place, right, BINS)[held] / count[held]
    return [Bin(float(c), float(a), int(n)) for c, a, n in zip(mean, accuracy, count[held], strict=True)]


def expected_calibration_error(bins: list[Bin]) -> float:
    """Mean distance between confidence and accuracy, weighted by the bins' counts."""
    total = sum(one.count for one in bins)
    return sum(one.count * abs(one.accuracy - one.confidence) for one in bins) / total
