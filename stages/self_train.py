"""Stage self_train: a network that learns from the classifier (`python -m stages.self_train forward`)."""

from dataclasses import replace
from pathlib import Path
from typing import Literal

import torch

from pipeline.base.files import read_json
from pipeline.base.process import run_stage
from pipeline.classifier.data import Task
from pipeline.classifier.network import classifier_network
from pipeline.classifier.student import Unlabelled, reason_not_to, taught, too_few
from pipeline.classifier.train import ClassifierRun, leave_out
from pipeline.config.blend import FOLDER as BLEND
from pipeline.config.chosen import chosen
from pipeline.config.classifier import ClassifierConfig
from pipeline.config.hardware import HardwareConfig
from pipeline.config.self_train import FOLDER, SelfTrainConfig
from pipeline.inference.predictor import Predictor, said
from pipeline.inference.together import remember
from pipeline.interop.folders import load_language_model
from pipeline.shards.read import TokenCorpus
from pipeline.text.prepared import read_texts
from pipeline.training.place import Place

TASK, DOMAIN, TEACHER = Path("data/prepared/task"), Path("data/prepared/domain"), Path("models/classifier")


def main(direction: str, goal: str = "train") -> None:
    """Train a student of models/classifier; write models/classifier/student/DIRECTION, a note where there is none.

    goal: `train`, or `lr-find` to write no more than the losses of a climbing learning rate.
    """
    config, hardware = chosen("self_train", SelfTrainConfig), chosen("hardware", HardwareConfig).alone()
    out, results = TEACHER / FOLDER / direction, Path("results/self_train") / direction
    multilabel = read_json(TASK / "labels.json")["multilabel"]
    why = reason_not_to(config, multilabel=multilabel)
    if why is None:
        labelled = list(read_texts(TASK / "train.parquet"))
        unlabelled = Unlabelled.among(DOMAIN / "train.parquet", labelled, config.documents)
        why = too_few(config, unlabelled=unlabelled.there, labelled=len(labelled))
    if why is not None:
        leave_out(out, results, goal, why)
        return

    task = Task.open(TASK, Path("data/tokens/task"), reverse=direction == "backward")
    start = load_language_model(Path("models/domain") / direction)
    classifier = replace(chosen("classifier", ClassifierConfig), epochs=config.epochs)
    place = Place(hardware, classifier.precision)
    torch.set_num_threads(place.threads)
    precision: Literal["fp32", "auto"] = "auto" if place.precision == "bf16" else "fp32"
    teacher = Predictor.load(TEACHER, device=place.device, precision=precision, students=False)
    said_NC = said(teacher, unlabelled.texts, f"{TEACHER} on unlabelled documents")
    task = taught(task, TokenCorpus(Path("data/tokens/domain/train")), unlabelled.rows, said_NC)
    network = classifier_network(start.model, classifier, classes=len(task.labels))
    run = ClassifierRun(out, results, task, start.tokenizer, direction, goal)
    run.train(network, classifier, hardware, f"self_train {direction}")
    if goal == "train":
        remember(out, TEACHER, [*teacher.directions, BLEND])


if __name__ == "__main__":
    run_stage(main, trains=True)
