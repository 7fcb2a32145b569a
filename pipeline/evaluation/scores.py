"""Accuracy and F1 from counts, in one definition for point values and for resampled ones."""

import numpy as np


def f1(hits: np.ndarray, predicted: np.ndarray, true: np.ndarray) -> np.ndarray:
    """F1 = 2 x hits / (predicted + true), element by element; NaN where a class is neither predicted nor true."""
    total = predicted + true
    with np.errstate(invalid="ignore"):
        return np.where(total > 0, 2 * hits / np.where(total > 0, total, 1), np.nan)


def macro_f1(hits: np.ndarray, predicted: np.ndarray, true: np.ndarray) -> np.ndarray:
    """Mean of the classes' F1 over the last axis, of those that are predicted or true at least once.

    scikit-learn's definition for one label a document; 0 where there is no class to average.
    """
    scores = f1(hits, predicted, true)
    present = ~np.isnan(scores)
    return np.where(present, scores, 0).sum(axis=-1) / np.maximum(present.sum(axis=-1), 1)
