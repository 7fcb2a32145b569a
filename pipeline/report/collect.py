"""Everything the report draws, read from the files that the stages wrote; what a run lacks is None or empty."""

import csv
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from pipeline.base.files import read_json
from pipeline.config.chosen import path_of, read_choices
from pipeline.evaluation.decisions import carried
from pipeline.evaluation.predictions import read_predictions
from pipeline.report.samples import Sample, read_samples
from pipeline.text.prepared import read_texts

RESULTS = Path("results")
PREPARED = Path("data/prepared")
STAGES = {
    "pretrain": "Pretraining",
    "finetune_lm": "Domain fine-tuning",
    "finetune_classifier": "Classifier",
    "self_train": "Student",
    "scratch": "Classifier, not pretrained",
}
ROLES = {"task": "Task", "domain": "Domain", "generic": "Generic"}


@dataclass(frozen=True)
class Training:
    """One training stage, in one direction."""

    title: str
    metrics: Mapping[str, Any]
    curve: Mapping[str, np.ndarray]  # column of numbers -> values, NaN where not measured
    run: Mapping[str, Any]  # speed, memory, hardware, versions, commit
    samples: list[Sample]  # what a language model wrote


@dataclass(frozen=True)
class TestPart:
    """The test documents with every system's probabilities; N may be 0."""

    texts: list[str]
    carried_NC: np.ndarray
    systems: Mapping[str, np.ndarray]


@dataclass(frozen=True)
class Report:
    """What one run did and what came out."""

    choices: Mapping[str, Any]
    configs: Mapping[str, tuple[str, str]]  # choice -> path and content of its file
    task: Mapping[str, Any]  # labels.json
    audits: Mapping[str, Mapping[str, Any]]  # title of a role -> audit.json
    trainings: list[Training]
    baselines: Mapping[str, Any]
    blend: Mapping[str, Any]
    evaluation: Mapping[str, Any]
    test: TestPart


def collect() -> Report:
    """Read the current run; paths are relative to the repository's root."""
    choices = read_choices()
    task = read_json(PREPARED / "task" / "labels.json")
    trainings = [
        training(folder, title + (f", {folder.name}" if len(choices["directions"]) > 1 and name != "scratch" else ""))
        for name, title in STAGES.items()
        for folder in _folders(name, choices["directions"])
    ]
    return Report(
        choices=choices,
        configs=_configs(),
        task=task,
        audits={title: read_json(PREPARED / role / "audit.json") for role, title in ROLES.items()},
        trainings=trainings,
        baselines=read_json(RESULTS / "baselines" / "metrics.json"),
        blend=read_json(RESULTS / "blend" / "metrics.json"),
        evaluation=read_json(RESULTS / "evaluate" / "metrics.json"),
        test=_test_part(len(task["labels"]), task["multilabel"]),
    )


def training(folder: Path, title: str) -> Training:
    """Read a results folder of a training stage."""
    with (folder / "curve.csv").open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    columns = [name for name in (rows[0] if rows else ()) if name != "phase"]
    curve = {name: np.array([float(row[name] or "nan") for row in rows]) for name in columns}
    metrics, run = read_json(folder / "metrics.json"), read_json(folder / "run.json")
    return Training(title, metrics, curve, run, read_samples(folder))


def _folders(stage: str, directions: list[str]) -> list[Path]:
    return [RESULTS / stage] if stage == "scratch" else [RESULTS / stage / direction for direction in directions]


def _configs() -> dict[str, tuple[str, str]]:
    """The files behind the choices; configs/hardware changes no result and is told by run.json."""
    paths = {
        "generic": path_of("generic"),
        "domain": path_of("domain"),
        "task": path_of("task"),
        "tokenizer": path_of("tokenizer"),
        "model": path_of("model"),
        "pretrain": path_of("pretrain"),
        "finetune_lm": path_of("finetune_lm"),
        "classifier": path_of("classifier"),
        "blend": path_of("blend"),
        "self_train": path_of("self_train"),
        "scratch": path_of("scratch"),
    }
    return {key: (path.as_posix(), path.read_text(encoding="utf-8")) for key, path in paths.items()}


def _test_part(classes: int, multilabel: bool) -> TestPart:
    predictions = read_predictions(RESULTS / "evaluate" / "predictions.parquet")
    texts = list(read_texts(PREPARED / "task" / "test.parquet"))
    return TestPart(texts, carried(predictions.labels, classes, multilabel), predictions.systems)
