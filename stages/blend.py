"""Stage blend: weigh the network and linear models on unseen documents (`python -m stages.blend`)."""

from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np

from pipeline.base.files import read_json, write_json
from pipeline.base.process import run_stage
from pipeline.base.processors import usable_processors
from pipeline.base.progress import track
from pipeline.classifier.data import Task
from pipeline.config.blend import FOLDER, BlendConfig
from pipeline.config.chosen import choice, chosen
from pipeline.config.classifier import ClassifierConfig
from pipeline.config.hardware import HardwareConfig
from pipeline.evaluation.decisions import carried
from pipeline.inference.held_out import HeldOut
from pipeline.inference.predictor import Predictor
from pipeline.inference.together import remember
from pipeline.linear.artifact import Blend, save_blend
from pipeline.linear.blend import Judged, Weights
from pipeline.linear.classifier import NgramClassifier
from pipeline.linear.held_out import held_out
from pipeline.linear.learners import Learners
from pipeline.linear.selection import enough, folds
from pipeline.text.prepared import read_labels, read_texts
from pipeline.training.run import this_rank

CLASSIFIER, TASK, TOKENS = Path("models/classifier"), Path("data/prepared/task"), Path("data/tokens/task")


def main() -> None:
    """Write models/classifier/blend, and to results/blend what it was weighed by."""
    config, task = chosen("blend", BlendConfig), read_json(TASK / "labels.json")
    beside, (texts, given) = (tuple(task["labels"]), tuple(choice("directions"))), part("train")
    if config.weight == "none" or not enough(given):
        why = "`weight: none`" if config.weight == "none" else "too few labels to hold any out"
        write(Blend(*beside, Weights(), {}), {"judged_by": why, "documents": 0}, f"the network alone: {why}")
        return

    learners = Learners.open(task, Path("models/lsa"), Path("data/prepared/domain/train.parquet"))

    whole: dict[str, NgramClassifier] = {}
    held_texts, held = part("validation")
    if len(held) >= config.enough:
        for names in track(learners.groups, "linear models", len(learners.groups)):
            whole |= learners.fit(names, texts, given)
        linear = {name: one.predict_proba(held_texts) for name, one in whole.items()}
        judged = Judged(f"{len(held):,} validation documents", held, networks_on(held_texts), linear)
    else:
        judged = judge_in_parts(config, texts, given, learners)
    weights, losses = judged.weights(), judged.losses()
    about = {"judged_by": judged.by, "documents": len(judged.labels), "log_loss": losses}
    whole = whole or learners.fit(tuple(weights.linear), texts, given)
    blend = Blend(*beside, weights, {name: whole[name] for name in weights.linear})
    said = ", ".join(f"{name} {loss:.3f}" for name, loss in losses.items())
    write(blend, about, f"linear share {weights.linear_share:.2f}, judged by {judged.by}; log loss: {said}")


def networks_on(texts: list[str]) -> np.ndarray:
    """Mean probabilities (N, C) of the finished classifiers."""
    return np.mean([Predictor.load(CLASSIFIER / one).predict_proba(texts) for one in choice("directions")], axis=0)


def judge_in_parts(config: BlendConfig, texts: list[str], given: np.ndarray, learners: Learners) -> Judged:
    """Each part of the training documents is predicted by models that were trained on the others."""
    parts = folds(given, config.folds, config.seed)
    linear = held_out(learners, texts, given, parts, usable_processors())
    trainings = HeldOut(chosen("classifier", ClassifierConfig), chosen("hardware", HardwareConfig), texts, parts)
    networks = []
    for direction in choice("directions"):
        task = Task.open(TASK, TOKENS, reverse=direction == "backward")
        networks.append(trainings.of_network(Path("models/domain") / direction, task))
    by = f"{len(parts)}-fold cross-validation on {len(texts):,} documents"
    return Judged(by, given, np.mean(networks, axis=0), linear)


def part(name: str) -> tuple[list[str], np.ndarray]:
    """Texts and labels of a part of the task: (N,) class indices, or (N, C) booleans."""
    task, file = read_json(TASK / "labels.json"), TASK / f"{name}.parquet"
    texts, labels = list(read_texts(file)), read_labels(file)
    return texts, carried(labels, len(task["labels"]), True) if task["multilabel"] else np.asarray(labels, np.int64)


def write(blend: Blend, about: dict[str, Any], said: str) -> None:
    """The outs and a line, by the first process alone."""
    if this_rank() == 0:
        print(f"  {said}")
        save_blend(CLASSIFIER / FOLDER, blend)
        remember(CLASSIFIER / FOLDER, CLASSIFIER, blend.directions)
        shares = {name: round(share, 4) for name, share in blend.weights.shares().items()}
        found = {"weights": asdict(blend.weights), "shares": shares, "linear_share": round(1 - shares["network"], 4)}
        write_json(Path("results/blend/metrics.json"), found | about)


if __name__ == "__main__":
    run_stage(main, trains=True)
