"""Everything measured about one system: true labels and probabilities in, a dictionary of numbers out."""

from collections.abc import Sequence
from typing import Any

import numpy as np
from sklearn.metrics import average_precision_score, confusion_matrix, label_ranking_average_precision_score

from pipeline.evaluation.calibration import expected_calibration_error, reliability
from pipeline.evaluation.decisions import decided
from pipeline.evaluation.scores import f1, macro_f1

SMALLEST = float(np.finfo(np.float32).tiny)  # probabilities below cost no more than this one
# As near to 0 or 1 as a label's own probability counts: float32 knows 1e-9, but nothing between 1 - EDGE / 2 and 1, so
# that without it a sure yes that is wrong would cost four times as much as a sure no.
EDGE = float(np.finfo(np.float32).eps)


def measure(
    carried_NC: np.ndarray, probabilities_NC: np.ndarray, names: Sequence[str], multilabel: bool
) -> dict[str, Any]:
    """Metrics of one system on N >= 1 documents.

    Args:
        carried_NC: true labels as booleans.
        probabilities_NC: rows sum to one, or with `multilabel` each label has a probability of its own.
        names: the C labels.

    Returns:
        accuracy (with several labels a document: the share with exactly the right ones), macro_f1, micro_f1, log_loss
        in nats (with several labels: mean over labels), expected_calibration_error, `per_class` as a list; with
        several labels also label_ranking_average_precision and mean_average_precision.
    """
    decided_NC = decided(probabilities_NC, multilabel)
    hits_C = (carried_NC & decided_NC).sum(axis=0)
    predicted_C, true_C = decided_NC.sum(axis=0), carried_NC.sum(axis=0)
    values: dict[str, Any] = {
        "accuracy": float((carried_NC == decided_NC).all(axis=1).mean()),
        "macro_f1": float(macro_f1(hits_C, predicted_C, true_C)),
        "micro_f1": float(np.nan_to_num(f1(hits_C.sum(), predicted_C.sum(), true_C.sum()))),
        "log_loss": log_loss(carried_NC, probabilities_NC, multilabel),
        "expected_calibration_error": expected_calibration_error(reliability(carried_NC, probabilities_NC, multilabel)),
        "per_class": [
            {
                "label": name,
                "precision": _ratio(hits, predicted),
                "recall": _ratio(hits, true),
                "f1": _ratio(2 * hits, predicted + true),
                "support": int(true),
            }
            for name, hits, predicted, true in zip(names, hits_C, predicted_C, true_C, strict=True)
        ],
    }
    if multilabel:
        values |= _ranking(carried_NC, probabilities_NC, values["per_class"])
    return values


def log_loss(carried_NC: np.ndarray, probabilities_NC: np.ndarray, multilabel: bool) -> float:
    """Mean negative log probability of what is true, in nats."""
    exact_NC = probabilities_NC.astype(np.float64)
    if multilabel:
        yes_NC = np.clip(exact_NC, EDGE, 1 - EDGE)
        return float(-np.log(np.where(carried_NC, yes_NC, 1 - yes_NC)).mean())
    return float(-np.log(np.maximum(exact_NC[carried_NC], SMALLEST)).mean())


def confusion(carried_NC: np.ndarray, decided_NC: np.ndarray) -> np.ndarray:
    """Documents of each true class (rows) by the class decided (columns), (C, C); one label a document."""
    return confusion_matrix(carried_NC.argmax(axis=1), decided_NC.argmax(axis=1), labels=np.arange(carried_NC.shape[1]))


def _ranking(carried_NC: np.ndarray, probabilities_NC: np.ndarray, per_class: list[dict[str, Any]]) -> dict[str, float]:
    """Average precision of each label that occurs, into `per_class`; their mean; label-ranking average precision."""
    occurring = np.flatnonzero(carried_NC.any(axis=0))
    found = {int(c): float(average_precision_score(carried_NC[:, c], probabilities_NC[:, c])) for c in occurring}
    for place, one in enumerate(per_class):
        one["average_precision"] = found.get(place)
    return {
        "mean_average_precision": float(np.mean(list(found.values()))) if found else 0.0,
        "label_ranking_average_precision": float(label_ranking_average_precision_score(carried_NC, probabilities_NC)),
    }


def _ratio(part: int, whole: int) -> float:
    """0 where there is nothing to divide by, as scikit-learn has it."""
    return float(part / whole) if whole else 0.0
