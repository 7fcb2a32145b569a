"""Labels and decisions as one kind of array: (N, C) booleans, whether a document may carry one label or several."""

from collections.abc import Sequence

import numpy as np

THRESHOLD = 0.5  # of a label's probability, where a document may carry several


def carried(labels: Sequence[int] | Sequence[Sequence[int]], classes: int, multilabel: bool) -> np.ndarray:
    """True labels, class indices or lists of them, as (N, C) booleans."""
    carried_NC = np.zeros((len(labels), classes), dtype=bool)
    if multilabel:
        sizes = [len(one) for one in labels]  # type: ignore[arg-type]
        columns = np.array([label for one in labels for label in one], dtype=np.int64)  # type: ignore[union-attr]
        carried_NC[np.repeat(np.arange(len(labels)), sizes), columns] = True
    else:
        carried_NC[np.arange(len(labels)), np.asarray(labels, dtype=np.int64)] = True
    return carried_NC


def decided(probabilities_NC: np.ndarray, multilabel: bool) -> np.ndarray:
    """What a system decides, (N, C) booleans: the most probable class (the first of equals), or all from one half."""
    if multilabel:
        return probabilities_NC >= THRESHOLD
    decided_NC = np.zeros(probabilities_NC.shape, dtype=bool)
    decided_NC[np.arange(len(probabilities_NC)), probabilities_NC.argmax(axis=1)] = True
    return decided_NC
