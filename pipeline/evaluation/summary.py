"""The numbers of results/evaluate/metrics.json: every system with intervals, and its distance to the pipeline."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from pipeline.evaluation.decisions import decided
from pipeline.evaluation.intervals import interval, resampled
from pipeline.evaluation.metrics import measure

SCORES = ("accuracy", "macro_f1")


def summarise(
    carried_NC: np.ndarray,
    systems: Mapping[str, np.ndarray],
    members: Mapping[str, np.ndarray],
    names: Sequence[str],
    multilabel: bool,
) -> dict[str, Any]:
    """Measure systems, and the members of the pipeline.

    Args:
        carried_NC: true labels as booleans.
        systems: name -> probabilities (N, C); one of them is "pipeline".
        members: what the pipeline averages or blends, where there are several; names as in `verdict.MEMBERS`.

    Returns:
        "systems" and "members": name -> metrics, with `accuracy_interval` and `macro_f1_interval`;
        "lead": name -> how far the pipeline is ahead of each other system, with paired intervals. Empty without
        documents.
    """
    if not len(carried_NC):
        return {"systems": {}, "members": {}, "lead": {}}
    measured: dict[str, dict[str, dict[str, Any]]] = {
        kind: {name: measure(carried_NC, one_NC, names, multilabel) for name, one_NC in group.items()}
        for kind, group in (("systems", systems), ("members", members))
    }
    decisions = {name: decided(one_NC, multilabel) for name, one_NC in (*systems.items(), *members.items())}
    scores = resampled(carried_NC, decisions)
    for group in measured.values():
        for name, values in group.items():
            values |= {f"{score}_interval": interval(scores[name][score]) for score in SCORES}
    return {
        **measured,
        "lead": {name: _lead(measured["systems"], scores, name) for name in systems if name != "pipeline"},
    }


def _lead(measured: Mapping[str, Any], scores: Mapping[str, Any], other: str) -> dict[str, Any]:
    lead: dict[str, Any] = {}
    for score in SCORES:
        lead[score] = measured["pipeline"][score] - measured[other][score]
        lead[f"{score}_interval"] = interval(scores["pipeline"][score] - scores[other][score])
    return lead
