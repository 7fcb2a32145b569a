"""The report as one HTML page that needs nothing else: figures and styles are inside it, and there are no scripts."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup

from pipeline.base.progress import quantity, seconds
from pipeline.evaluation.calibration import reliability
from pipeline.evaluation.decisions import decided
from pipeline.evaluation.metrics import confusion
from pipeline.evaluation.verdict import MEMBERS, NAMES, best_rival, verdict, weighing
from pipeline.report import plots
from pipeline.report.collect import Report, Training
from pipeline.report.mistakes import confident_mistakes, disagreements

DESCRIPTIONS = {
    "pipeline": "language model pretrained, fine-tuned on the domain's text, then as a classifier, with its parts",
    "scratch": "the same network and labels, started from noise",
    "other_scratch": "the same labels, the network of configs/model/, started from noise; the pipeline's is another",
    "tfidf_lr": "words and word pairs weighted by TF-IDF, logistic regression",
    "lsa_lr": "logistic regression on the main directions of the unlabelled text's n-grams (Deerwester et al. 1990)",
    "nb_svm": "words, punctuation and pairs scaled by naive Bayes log-count ratios (Wang & Manning 2012)",
    "majority": "reads nothing and always answers with the most frequent class",
}
# What is said of a stage: key of metrics.json or run.json, its name, how it is written.
FACTS = (
    ("parameters", "parameters", "quantity"),
    ("documents", "documents", "whole"),
    ("tokens", "tokens read", "quantity"),
    ("corpus_tokens", "tokens in the corpus", "quantity"),
    ("loss", "validation loss", "decimal"),
    ("perplexity", "perplexity", "one"),
    ("bits_per_byte", "bits per byte", "decimal"),
    ("validation_loss", "validation loss", "decimal"),
    ("validation_accuracy", "validation accuracy", "decimal"),
    ("padding_share", "padding", "share"),
    ("documents_cut", "documents cut at the limit", "whole"),
    ("tokens_left_out", "tokens left out", "whole"),
)
SPEED = (
    ("seconds", "Time", "duration"),
    ("tokens_per_second", "Tokens/s", "quantity"),
    ("mfu", "MFU", "share"),
    ("peak_memory_mb", "Peak memory", "megabytes"),
)
VARYING = ("load_at_end", "micro_batch")  # of the hardware: differ from stage to stage on one machine
PARTS = ("train", "validation", "test")
PAIRS = 12  # most frequent confusions that are listed
FORMATS = {
    "quantity": quantity,
    "whole": lambda value: f"{value:,}",
    "decimal": lambda value: f"{value:.3f}",
    "signed": lambda value: f"{value:+.3f}",
    "one": lambda value: f"{value:.1f}",
    "share": lambda value: f"{value:.1%}",
    "duration": seconds,
    "megabytes": lambda value: f"{value:,.0f} MB",
}


def render(report: Report) -> str:
    """The page's HTML; its bytes depend on the report alone."""
    environment = Environment(
        loader=FileSystemLoader(Path(__file__).parent, encoding="utf-8"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )
    environment.filters |= FORMATS
    return environment.get_template("page.html.j2").render(
        report=report,
        names=NAMES,
        members=MEMBERS,
        weighing=weighing(report.blend),
        descriptions=DESCRIPTIONS,
        sentence=verdict(report.evaluation),
        test=report.evaluation["test"],
        labels_used=next(
            (one.metrics["labels_used"] for one in report.trainings if "labels_used" in one.metrics), None
        ),
        parts=PARTS,
        speed=[name for _, name, _ in SPEED],
        stages=[_stage(one) for one in report.trainings],
        machines=_machines(report.trainings),
        **(_measured(report) if report.evaluation["systems"] else {"measured": False}),
    )


def _measured(report: Report) -> dict[str, Any]:
    """What the page shows of the test part, where there is one."""
    evaluation, test = report.evaluation, report.test
    names, multilabel = report.task["labels"], report.task["multilabel"]
    probabilities_NC = test.systems["pipeline"]
    context: dict[str, Any] = {
        "measured": True,
        "systems": [name for name in NAMES if name in evaluation["systems"]],
        "rival": best_rival(evaluation),
        "best": {s: max(v[s] for v in evaluation["systems"].values()) for s in ("accuracy", "macro_f1")},
        "scores_plot": Markup(plots.scores(evaluation)),
        "reliability_plot": Markup(plots.reliability(reliability(test.carried_NC, probabilities_NC, multilabel))),
        "mistakes": confident_mistakes(test, names, multilabel),
        "disagreements": disagreements(test, multilabel),
        "confusion_plot": None,
        "pairs": [],
    }
    if not multilabel:
        counts_CC = confusion(test.carried_NC, decided(probabilities_NC, multilabel))
        context |= {"confusion_plot": Markup(plots.confusion(counts_CC, names)), "pairs": _pairs(counts_CC, names)}
    return context


def _pairs(counts_CC: np.ndarray, names: Sequence[str]) -> list[tuple[str, str, int]]:
    """The most frequent confusions: true class, decided class, documents."""
    off_CC = counts_CC - np.diag(np.diag(counts_CC))
    order = np.argsort(-off_CC, axis=None, kind="stable")[:PAIRS]
    found = [(int(place) // len(names), int(place) % len(names)) for place in order]
    return [(names[true], names[other], int(off_CC[true, other])) for true, other in found if off_CC[true, other]]


def _stage(training: Training) -> dict[str, Any]:
    """A stage's card: its facts, and its figures where it took a step."""
    ran = "train_loss" in training.curve
    return {
        "title": training.title,
        "note": training.metrics.get("note"),
        "steps": training.metrics["steps"],
        "facts": [(name, value) for name, value in _lines(FACTS, training.metrics) if value] if ran else [],
        "speed": [value for _, value in _lines(SPEED, training.run)],
        "loss": Markup(plots.loss(training)) if ran else None,
        "rate": Markup(plots.learning_rate(training)) if ran else None,
        "samples": training.samples,
    }


def _lines(facts: Sequence[tuple[str, str, str]], values: Mapping[str, Any]) -> list[tuple[str, str]]:
    """Name and written value of each fact; empty where it was not measured."""
    return [(name, FORMATS[form](values[key]) if values.get(key) is not None else "") for key, name, form in facts]


def _machines(trainings: Sequence[Training]) -> list[dict[str, Any]]:
    """Each machine, set of versions and commit that a stage ran on, with the stages: one where nothing changed."""
    machines: list[dict[str, Any]] = []
    for training in trainings:
        if "hardware" not in training.run:
            continue
        facts = {
            "commit": training.run.get("commit"),
            "hardware": {key: value for key, value in training.run["hardware"].items() if key not in VARYING},
            "versions": training.run["versions"],
        }
        same = next((one for one in machines if one["facts"] == facts), None)
        if same is None:
            machines.append(same := {"facts": facts, "stages": []})
        same["stages"].append(training.title)
    return machines
