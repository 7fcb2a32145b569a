"""`ulmfit results`: the results of the last run beside the baselines."""

import argparse
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from pipeline.base.files import read_json
from pipeline.config.chosen import CHOICES, read_choices
from pipeline.evaluation.verdict import MEMBERS, NAMES, verdict, weighing
from pipeline.planning.evaluated import directions, outdated

RESULTS = Path("results")
SCORES = ("accuracy", "macro_f1")


def add_parser(subparsers: Any) -> None:
    """Add `results` to the commands."""
    subparsers.add_parser(
        "results",
        help="print the results beside the baselines",
        description="Print the test results of the last run beside the baselines, and where the report lies.",
    )


def run(args: argparse.Namespace) -> None:
    """Print the table, and what has changed since it was made."""
    read_choices()  # says so where this is not the repository's root
    metrics, blend = (read_json(RESULTS / stage / "metrics.json") for stage in ("evaluate", "blend"))
    print(table(metrics))
    print(f"\n{verdict(metrics)}")
    if said := weighing(blend):
        print(said)
    print(f"{_labels_used()}, {_counted(metrics['test']['documents'], 'test document')}{_transductive(metrics)}")
    page = RESULTS / "report" / "index.html"
    print(f"report: {page}" if page.is_file() else f"report: not drawn yet; `dvc repro report` writes {page}")
    if changed := outdated(metrics["test"]["task"]):
        print(f"These are not results of {CHOICES} as it is now ({', '.join(changed)}); run `dvc repro` for its own")


def table(metrics: Mapping[str, Any]) -> str:
    """Accuracy and macro-F1 of every system with 95 % intervals, at most 80 columns; `*` marks the best of a column."""
    systems = metrics["systems"]
    if not systems:
        return "no test documents: add `test:` to the task's file in configs/dataset/ to cut a test part from train"
    best = {score: max(values[score] for values in systems.values()) for score in SCORES}
    lines = [f"{'':<30}{'accuracy':<9}{'95 % interval':<18}{'macro-F1':<9}{'95 % interval'}"]
    for name in (name for name in NAMES if name in systems):
        lines.append(_line(NAMES[name], systems[name], best))
        if name == "pipeline":
            members = metrics["members"]
            lines += [_line(f"  {title}", members[one], {}) for one, title in MEMBERS.items() if one in members]
    return "\n".join(lines)


def _line(name: str, values: Mapping[str, Any], best: Mapping[str, float]) -> str:
    cells = []
    for score in SCORES:
        low, high = values[f"{score}_interval"]
        mark = "*" if values[score] == best.get(score) else " "
        cells.append(f"{f'{values[score]:.3f} {mark}':<9}{f'{low:.3f} to {high:.3f}':<18}")
    return f"{name:<30}{''.join(cells)}".rstrip()


def _labels_used() -> str:
    """All labels that training, early stopping or choice looked at, as the classifier's stage counted them."""
    known = directions() or [*read_choices()["directions"], "*"]  # a folder may be left over from another choice
    files = [file for one in known for file in (RESULTS / "finetune_classifier").glob(f"{one}/metrics.json")]
    return _counted(read_json(files[0])["labels_used"], "labelled document") if files else "labels not counted"


def _transductive(metrics: Mapping[str, Any]) -> str:
    return ", whose texts the language model has seen (transductive)" if metrics["test"]["transductive"] else ""


def _counted(number: int, thing: str) -> str:
    return f"{number:,} {thing}{'' if number == 1 else 's'}"
