"""Stage blend: weigh the network and linear models on unseen documents (`python -m stages.blend`)."""

from contextlib import ExitStack
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
import torch

from pipeline.base.files import read_json, write_json
from pipeline.base.process import run_stage
from pipeline.classifier.data import Task
from pipeline.classifier.student import Unlabelled
from pipeline.config.blend import FOLDER, BlendConfig
from pipeline.config.chosen import choice, chosen
from pipeline.config.classifier import ClassifierConfig
from pipeline.config.hardware import HardwareConfig
from pipeline.evaluation.decisions import carried
from pipeline.inference.held_out import HeldOut
from pipeline.inference.judging import judge_in_parts, no_copies
from pipeline.inference.predictor import Predictor, said
from pipeline.inference.together import remember
from pipeline.linear.artifact import Blend, save_blend
from pipeline.linear.blend import Judged, Weights
from pipeline.linear.learners import Learners
from pipeline.linear.selection import alike, enough, folds
from pipeline.text.prepared import read_labels, read_texts
from pipeline.training.place import Place
from pipeline.training.run import this_rank

CLASSIFIER, TASK, TOKENS = Path("models/classifier"), Path("data/prepared/task"), Path("data/tokens/task")
DOMAIN = Path("data/prepared/domain/train.parquet")


def main() -> None:
    """Write models/classifier/blend, and to results/blend what it was weighed by."""
    config, task = chosen("blend", BlendConfig), read_json(TASK / "labels.json")
    beside, (texts, given) = (tuple(task["labels"]), tuple(choice("directions"))), part("train")
    held_texts, held = part("validation")
    judging_M, validation = no_copies(held_texts, texts)
    held_texts, held = [held_texts[row] for row in judging_M], held[judging_M]
    by_validation = len(held) >= config.enough
    if config.weight == "none" or not (by_validation or enough(given, alike(texts))):
        why = "`weight: none`" if config.weight == "none" else "too few labels to hold any out"
        write(Blend(*beside, Weights(), {}), {"judged_by": why, "documents": 0}, f"the network alone: {why}")
        return

    learners = Learners.open(task, Path("models/lsa"), DOMAIN)
    begins = config.documents if learners.unlabelled else 0  # what naive Bayes with EM begins from
    some = Unlabelled.among(DOMAIN, [*texts, *held_texts], begins).texts if begins else []
    (guess,) = learners.guesses(some, [networks_on(some)]) if some else [None]
    with ExitStack() as kept:  # what was trained on parts, until that has judged and the outs are written
        if by_validation:
            whole = learners.fit_all(learners.groups, texts, given, guess, held_texts)
            linear = {name: one.predict_proba(held_texts) for name, one in whole.items()}
            judged = Judged(validation, held, networks_on(held_texts), linear)
        else:
            parts = folds(given, config.folds, config.seed, alike(texts))
            recipe = chosen("classifier", ClassifierConfig), chosen("hardware", HardwareConfig)
            tasks = {one: Task.open(TASK, TOKENS, reverse=one == "backward") for one in choice("directions")}
            starts = [(Path("models/domain") / one, task) for one, task in tasks.items()]
            judged = judge_in_parts(HeldOut(*recipe, texts, parts, beside=some), starts, given, learners, kept)
            whole = learners.fit_all([tuple(judged.weights().linear)], texts, given, guess)
        weights, losses = judged.weights(), judged.losses()
        blend = Blend(*beside, weights, {name: whole[name] for name in weights.linear})
        said = ", ".join(f"{name} {loss:.3f}" for name, loss in losses.items())
        about = {"judged_by": judged.by, "documents": len(judged.labels), "log_loss": losses}
        write(blend, about, f"linear share {weights.linear_share:.2f}, judged by {judged.by}; log loss: {said}")


def networks_on(texts: list[str]) -> np.ndarray:
    """Mean probabilities (N, C) of the finished classifiers."""
    place = Place(chosen("hardware", HardwareConfig), "fp32")
    torch.set_num_threads(place.threads)
    folders = [CLASSIFIER / one for one in choice("directions")]
    return np.mean([said(Predictor.load(one, device=place.device), texts, str(one)) for one in folders], axis=0)


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
