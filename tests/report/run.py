"""A finished run as files, for tests of the report and of `ulmfit results`: real formats, made-up numbers."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from pipeline.base.files import write_json, write_text
from pipeline.evaluation.decisions import carried
from pipeline.evaluation.predictions import write_predictions
from pipeline.evaluation.summary import summarise
from pipeline.text.audit import lengths
from pipeline.text.prepared import PreparedWriter, task_schema
from pipeline.training.curve import write_curve
from pipeline.training.results import CURVE

LIBRARIES = ["networkx", "numpy", "pandas", "scikit-learn", "scipy", "sympy", "torch", "torchmetrics"]
SKILL = {"pipeline": 2.6, "scratch": 0.7, "majority": 0.0, "tfidf_lr": 2.0, "nb_svm": 2.1}
TEXT = (
    "Return the {} of the given array along an axis. The result has one entry for each row of the input; entries that "
    "are missing are ignored unless `skipna` is false, in which case they propagate. See also the notes on dtype."
)
PASSED_ON = "no generic corpus: an untrained network is passed on"
CHOICES = {
    "generic": "general", "domain": "manuals", "task": "which_library", "tokenizer": "bpe", "model": "small",
    "pretrain": "short", "pretrained": "none", "finetune_lm": "ulmfit", "classifier": "gradual", "blend": "auto",
    "self_train": "auto", "scratch": "full", "hardware": "auto",
}  # fmt: skip


def write_run(
    root: Path,
    *,
    labels: Sequence[str] = tuple(LIBRARIES),
    documents: int = 400,
    texts: Sequence[str] | None = None,
    multilabel: bool = False,
    directions: Sequence[str] = ("forward",),
    generic: bool = True,
    skill: dict[str, float] = SKILL,
    samples: Sequence[dict[str, Any]] = (),
    blended: bool = False,
    transductive: bool = False,
) -> None:
    """Write the files of one run under `root`; without `generic` there was no pretraining."""
    task = {"labels": list(labels), "multilabel": multilabel, "spaced": True, "transductive": transductive}
    truth, systems, members = _predictions(documents, len(labels), multilabel, directions, skill)
    if blended:
        network, linear = systems["scratch"], systems["nb_svm"]
        members = {"student": linear, "teacher": network, "network": network, "linear": linear, **members}
    given = texts or [TEXT.format(f"{labels[n % len(labels)]} quantity {n}") for n in range(documents)]
    _configs(root, directions, generic)
    _data(root / "data/prepared", task, given, truth, generic)
    for direction in directions:
        _language_model(root / "results/pretrain" / direction, 600 if generic else 0, 7.9, 4.6)
        _language_model(root / "results/finetune_lm" / direction, 900, 4.9, 3.4, samples)
        _classifier(root / "results/finetune_classifier" / direction, ("head", "last 2 groups", "all"))
        _classifier(root / "results/self_train" / direction, ("all",))
    _classifier(root / "results/scratch", ("all",))
    settings = {
        "majority": {},
        "tfidf_lr": {"strength": 10.0},
        "nb_svm": {"smoothing": 1.0, "strength": 0.1, "trust": 1.0},
    }
    write_json(
        root / "results/baselines/metrics.json", {"documents": 80, "test_documents": documents, "settings": settings}
    )
    blend = {
        "weights": {"network": 0.6, "linear": {"nb_svm": 0.3}},
        "shares": {"network": 0.6667, "nb_svm": 0.3333},
        "linear_share": 0.3333,
        "judged_by": "5-fold cross-validation on 80 documents",
        "documents": 80,
        "log_loss": {"network": 0.8, "nb_svm": 0.9, "tfidf_lr": 1.0, "blend": 0.7},
    }
    write_json(root / "results/blend/metrics.json", blend if blended else {"linear_share": 0.0})
    test = {
        "task": CHOICES["task"],
        "documents": documents,
        "classes": len(labels),
        "multilabel": multilabel,
        "transductive": transductive,
    }
    summary = summarise(carried(truth, len(labels), multilabel), systems, members, labels, multilabel)
    write_json(root / "results/evaluate/metrics.json", {"test": test, **summary})
    write_predictions(root / "results/evaluate/predictions.parquet", truth, systems, multilabel)


def _predictions(
    documents: int, classes: int, multilabel: bool, directions: Sequence[str], skill: dict[str, float]
) -> tuple[Any, dict[str, np.ndarray], dict[str, np.ndarray]]:
    generator = np.random.default_rng(7)
    carried_NC = np.eye(classes, dtype=bool)[generator.integers(classes, size=documents)]
    if multilabel:
        carried_NC |= generator.random((documents, classes)) < 0.15
    shared_NC = generator.gumbel(size=(documents, classes))
    systems = {}
    for name, strength in skill.items():
        noise_NC = 0.7 * shared_NC + 0.5 * generator.gumbel(size=(documents, classes))
        scores_NC = strength * carried_NC + (noise_NC if strength else 0)
        odds_NC = np.exp(scores_NC - (1.6 if multilabel else 0))
        probabilities_NC = odds_NC / (1 + odds_NC) if multilabel else odds_NC / odds_NC.sum(axis=1, keepdims=True)
        systems[name] = probabilities_NC.astype(np.float32)
    parts = {direction: np.roll(0.2 * systems["pipeline"], place, axis=0) for place, direction in enumerate(directions)}
    parts = {
        direction: (part_NC + 0.8 * systems["pipeline"]).astype(np.float32) for direction, part_NC in parts.items()
    }
    truth = [np.flatnonzero(row).tolist() for row in carried_NC] if multilabel else carried_NC.argmax(axis=1).tolist()
    return truth, systems, parts if len(directions) > 1 else {}


def _configs(root: Path, directions: Sequence[str], generic: bool) -> None:
    chosen = {**CHOICES, "generic": "general" if generic else "none"}
    lines = [f"{key}: {name}" for key, name in chosen.items()] + [f"directions: [{', '.join(directions)}]"]
    write_text(root / "configs/config.yaml", "\n".join(lines) + "\n")
    folders = {"generic": "dataset", "domain": "dataset", "task": "dataset", "scratch": "classifier"}
    for key, name in chosen.items():
        content = f"# What {name} is\npath: csv\ndata_files: {{train: texts.csv}}\n"
        write_text(root / "configs" / folders.get(key, key) / f"{name}.yaml", content)


def _data(folder: Path, task: dict[str, Any], texts: Sequence[str], truth: Any, generic: bool) -> None:
    write_json(folder / "task/labels.json", task)
    with PreparedWriter(folder / "task/test.parquet", task_schema(task["multilabel"])) as file:
        for text, label in zip(texts, truth, strict=True):
            file.write(text, label)
    part = {"documents": len(texts), "characters": lengths([len(text) for text in texts]), "exact_duplicates": 3}
    rows = {"rows_read": 9_120, "documents_kept": 9_000, "dropped": {"blank text": 120}, "cut_to_max_characters": 2}
    counts = dict.fromkeys(task["labels"], 10)
    audit = {
        "rows": {"train": rows},
        "parts": {name: {**part, "labels": counts} for name in ("train", "validation", "test")},
        "overlap_with_train": {"test": {"exact": 0, "exact_or_near": 2}},
    }
    write_json(folder / "task/audit.json", audit)
    removed = {"train": {"validation": 4, "test": 31}}
    corpus = {"rows": {"train": rows}, "held_out_removed": removed, "parts": {"train": part, "validation": part}}
    write_json(folder / "domain/audit.json", corpus)
    nothing = {"documents": 0, "characters": lengths([]), "exact_duplicates": 0}
    empty = {"rows": {}, "held_out_removed": {}, "parts": {"train": nothing, "validation": nothing}}
    write_json(folder / "generic/audit.json", corpus if generic else empty)


def _run(seconds: float, speed: float) -> dict[str, Any]:
    hardware = {
        "device": "Example CPU 9000", "instruction_set": "AVX512", "processes": 1, "threads": 4, "micro_batch": 8,
        "precision": "bf16", "load_at_end": 3.9,
    }  # fmt: skip
    speeds = {"seconds": seconds, "tokens_per_second": speed, "mfu": 0.271, "peak_memory_mb": 1312}
    return {**speeds, "hardware": hardware, "versions": {"python": "3.11.9", "torch": "2.13.0"}, "commit": "1a2b3c4"}


def _language_model(folder: Path, steps: int, start: float, end: float, samples: Sequence[dict[str, Any]] = ()) -> None:
    if not steps:
        write_json(
            folder / "metrics.json",
            {"steps": 0, "tokens": 0, "note": "no generic corpus: an untrained network is passed on"},
        )
        write_json(folder / "run.json", {"seconds": 0.0})
        write_curve(folder / "curve.csv", [], (*CURVE, "validation_bits_per_byte"))
        return
    generator = np.random.default_rng(steps)
    rows: list[dict[str, Any]] = []
    for step in range(0, steps + 1, 3):
        done = step / steps
        value = end + (start - end) * np.exp(-6 * done)
        row = {"step": step, "tokens": 4096 * step, "phase": ""}
        rate = 2e-3 * min(10 * done, (1 - done) / 0.9)
        rows.append({**row, "train_loss": value + 0.08 * generator.normal(), "learning_rate": rate})
        if step % 150 == 0:
            rows.append({**row, "validation_loss": value + 0.1, "validation_bits_per_byte": value / 3})
    metrics = {
        "steps": steps, "tokens": steps * 4096, "corpus_tokens": 2_700_000, "parameters": 6_912_000, "train_loss": end,
        "loss": end + 0.1, "loss_at_start": start, "perplexity": float(np.exp(end + 0.1)), "bits_per_byte": end / 3,
    }  # fmt: skip
    write_json(folder / "metrics.json", metrics)
    write_json(folder / "run.json", _run(steps / 4, 9_870.0))
    write_curve(folder / "curve.csv", rows, (*CURVE, "validation_bits_per_byte"))
    write_json(folder / "samples.json", list(samples))


def _classifier(folder: Path, phases: Sequence[str]) -> None:
    generator = np.random.default_rng(len(phases))
    rows: list[dict[str, Any]] = []
    for phase in phases:
        for step in range(40):
            value = 2.1 * 0.985 ** len(rows) + 0.1 * generator.random()
            rate = 1e-2 * (min(step / 4, 1) if step < 4 else 1 - (step - 4) / 37)
            rows.append(
                {
                    "step": len(rows),
                    "tokens": 900 * len(rows),
                    "phase": phase,
                    "train_loss": value,
                    "learning_rate": rate,
                }
            )
    metrics = {
        "documents": 80, "validation_documents": 0, "labels_used": 80, "phases": len(phases), "steps": len(rows),
        "tokens": 900 * len(rows), "documents_cut": 1, "tokens_left_out": 310, "padding_share": 0.0712,
        "parameters": 7_012_000, "train_loss": 0.31,
    }  # fmt: skip
    write_json(folder / "metrics.json", metrics)
    write_json(folder / "run.json", {**_run(31.0, 6_200.0), "documents_per_second": 22.1})
    write_curve(folder / "curve.csv", rows, (*CURVE, "validation_accuracy"))
