"""Stage blend: weigh the network against a linear model on unseen documents (`python -m stages.blend`)."""

from collections.abc import Callable, Mapping
from dataclasses import asdict
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from threadpoolctl import threadpool_limits

from pipeline.base.files import read_json, write_json
from pipeline.base.process import run_stage
from pipeline.classifier.data import Task
from pipeline.config.blend import FOLDER, BlendConfig
from pipeline.config.chosen import choice, chosen
from pipeline.config.classifier import ClassifierConfig
from pipeline.config.hardware import HardwareConfig
from pipeline.evaluation.decisions import carried
from pipeline.inference.held_out import HeldOut
from pipeline.inference.predictor import Predictor
from pipeline.linear import nb_svm, tfidf_lr
from pipeline.linear.artifact import Blend, save_blend
from pipeline.linear.blend import Judged, Weights
from pipeline.linear.classifier import NgramClassifier
from pipeline.linear.selection import enough, folds
from pipeline.text.prepared import read_labels, read_texts
from pipeline.training.run import this_rank

CLASSIFIER, TASK, TOKENS = Path("models/classifier"), Path("data/prepared/task"), Path("data/tokens/task")
LINEAR = {"nb_svm": nb_svm, "tfidf_lr": tfidf_lr}
Fit = Callable[[list[str], np.ndarray], NgramClassifier]


def main() -> None:
    """Write models/classifier/blend, and to results/blend what it was weighed by."""
    config, task = chosen("blend", BlendConfig), read_json(TASK / "labels.json")
    labels, (texts, given) = tuple(task["labels"]), part("train")
    if config.weight == "none" or not enough(given):
        why = "`weight: none`" if config.weight == "none" else "too few labels to hold any out"
        print(f"  the network alone: {why}")
        write(Blend(labels, Weights(), None), {"judged_by": why, "documents": 0})
        return
    fits: dict[str, Fit] = {
        name: partial(module.fit, classes=len(labels), spaced=task["spaced"]) for name, module in LINEAR.items()
    }
    judged = judge(config, texts, given, fits)
    weights, losses = judged.weights(), judged.losses()
    print(f"  linear share {weights.linear_share:.2f} ({judged.best}), judged by {judged.by}")
    print("  log loss: " + " | ".join(f"{name} {loss:.3f}" for name, loss in losses.items()))
    with threadpool_limits(1):  # equal bits on any number of processors
        fitted = fits[judged.best](texts, given) if weights.linear > 0 else None
    about = {"judged_by": judged.by, "documents": len(judged.labels), "linear": judged.best, "log_loss": losses}
    write(Blend(labels, weights, fitted), about)


def judge(config: BlendConfig, texts: list[str], given: np.ndarray, fits: Mapping[str, Fit]) -> Judged:
    """Predictions of the validation part, if it is large enough, else of the training part from trainings without."""
    held_texts, held = part("validation")
    directions = choice("directions")
    if len(held) >= config.enough:
        networks = [Predictor.load(CLASSIFIER / direction).predict_proba(held_texts) for direction in directions]
        with threadpool_limits(1):
            linear = {name: fit(texts, given).predict_proba(held_texts) for name, fit in fits.items()}
        return Judged(f"{len(held):,} validation documents", held, np.mean(networks, axis=0), linear)
    parts = folds(given, config.folds, config.seed)
    held_out = HeldOut(chosen("classifier", ClassifierConfig), chosen("hardware", HardwareConfig), texts, parts)
    with threadpool_limits(1):
        linear = {name: held_out.of_linear(fit, given) for name, fit in fits.items()}
    networks = []
    for direction in directions:
        task = Task.open(TASK, TOKENS, reverse=direction == "backward")
        networks.append(held_out.of_network(Path("models/domain") / direction, task))
    return Judged(f"{len(parts)} parts of {len(texts):,} documents", given, np.mean(networks, axis=0), linear)


def part(name: str) -> tuple[list[str], np.ndarray]:
    """Texts and labels of a part of the task: (N,) class indices, or (N, C) booleans."""
    task, file = read_json(TASK / "labels.json"), TASK / f"{name}.parquet"
    texts, labels = list(read_texts(file)), read_labels(file)
    return texts, carried(labels, len(task["labels"]), True) if task["multilabel"] else np.asarray(labels, np.int64)


def write(blend: Blend, about: dict[str, Any]) -> None:
    """The outs, by the first process alone."""
    if this_rank() == 0:
        save_blend(CLASSIFIER / FOLDER, blend)
        shares = {"weights": asdict(blend.weights), "linear_share": round(blend.weights.linear_share, 4)}
        write_json(Path("results/blend/metrics.json"), shares | about)


if __name__ == "__main__":
    run_stage(main, trains=True)
