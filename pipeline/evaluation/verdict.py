"""The main result in words: what beat what, by how much, and whether that could be chance."""

from collections.abc import Mapping
from typing import Any

# System -> its name for people, in the order of tables.
NAMES = {
    "pipeline": "pipeline",
    "scratch": "same network, not pretrained",
    "other_scratch": "configs/model, not pretrained",  # where the pipeline's network is a finished model's
    "tfidf_lr": "TF-IDF + logistic regression",
    "nb_svm": "NB-SVM",
    "lsa_lr": "LSA + logistic regression",
    "nb_em_1": "naive Bayes after one step of EM",
    "nb_em_15": "naive Bayes after fifteen steps of EM",
    "majority": "majority class",
}
# What the pipeline blends or averages -> its name for people, in the order of tables.
MEMBERS = {
    "student": "the student alone",
    "teacher": "its teacher, the blend",
    "network": "the network alone",
    "linear": "the linear models alone",
    "forward": "forward alone",
    "backward": "backward alone",
}


def best_rival(metrics: Mapping[str, Any]) -> str:
    """The system beside the pipeline with the highest accuracy; the first of equals in the order of `NAMES`."""
    systems = metrics["systems"]
    return max((name for name in NAMES if name in systems and name != "pipeline"), key=lambda n: systems[n]["accuracy"])


def verdict(metrics: Mapping[str, Any]) -> str:
    """One or two sentences about results/evaluate/metrics.json.

    A difference is called chance where its paired 95 % interval contains none; every system that is ahead of the
    pipeline is named.
    """
    if not metrics["systems"]:
        return "There is no test part, so nothing was measured on held-out labels."
    rival = best_rival(metrics)
    lead = metrics["lead"][rival]
    distance, (low, high) = lead["accuracy"], lead["accuracy_interval"]
    numbers = f"{abs(distance):.3f} in accuracy (95 % interval of the difference {low:+.3f} to {high:+.3f})"
    others = [name for name in NAMES if name != rival and metrics["lead"].get(name, {"accuracy": 0})["accuracy"] < 0]
    chance = " That may be chance: the interval includes no difference at all." if low <= 0 <= high else ""
    if distance == 0:
        return f"The pipeline and {NAMES[rival]} are equal in accuracy ({low:+.3f} to {high:+.3f})."
    if distance > 0:
        return f"The pipeline is ahead of every other system, of {NAMES[rival]} by {numbers}.{chance}"
    also = f" It also loses to {' and '.join(NAMES[name] for name in others)}." if others else ""
    return f"The pipeline loses to {NAMES[rival]} by {numbers}.{chance}{also}"


def weighing(blend: Mapping[str, Any]) -> str | None:
    """One sentence about results/blend/metrics.json; None where the network is alone."""
    if not blend["linear_share"]:
        return None
    names, shares, losses = {"network": "the network", **NAMES}, blend["shares"], blend["log_loss"]
    said = [f"{names[name]} {shares[name]:.2f} ({losses[name]:.3f})" for name in names if name in shares]
    return (
        f"Weights in the blend, by {blend['judged_by']} (log loss in brackets): {', '.join(said)}; "
        f"all together, on the same documents, {losses['blend']:.3f}."
    )
