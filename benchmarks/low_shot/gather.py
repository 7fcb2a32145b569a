"""Gather the rows of the low-shot study: `python -m benchmarks.low_shot.gather` while it runs, or after it.

Prints test error in percent, mean and standard deviation over seeds, as markdown, and keeps it in
benchmarks/results/low_shot.json. Rows that are not there yet are left out. With names of corpora, these are gathered
anew and the others stay as the file has them, so that one corpus can be run again alone.
"""

from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple

import numpy as np

from benchmarks.common import machines_line, print_table, read_json, write_json
from benchmarks.low_shot.paths import GENERIC, home, params, row
from benchmarks.studies.labelled import ALL
from benchmarks.studies.rows import LABELS, NUMBERS, machines, paired, percent, read_row, read_said, spread
from pipeline.base.errors import UserError
from pipeline.base.files import read_json as read_file
from pipeline.base.process import run_stage

RESULT = "low_shot"
# System -> (the rows that it stands in, its name for people), in the order of tables. Another system is a module that
# writes rows as network.py does, a stage of study.yaml over the same lists, and a line here.
SYSTEMS = {
    "scratch": ("scratch", "from scratch"),
    "generic": ("generic", "generic"),
    "domain": ("domain", "generic + domain"),
    "domain_all": ("domain_all", "generic + domain as ULMFiT"),
    "blend": ("blend", "blend with linear models"),
    "student": ("student", "student of the blend"),
    "taught": ("student", "blend and student"),
    "nb_em_1": ("linear", "naive Bayes, 1 step of EM"),
    "nb_em_15": ("linear", "naive Bayes, 15 steps of EM"),
    "tfidf_lr": ("linear", "TF-IDF + LR"),
    "nb_svm": ("linear", "NB-SVM"),
    "lsa_lr": ("linear", "LSA + LR"),
    "large_lsa_lr": ("linear", "large LSA + LR"),
}
# The baselines among them.
LINEAR = ("tfidf_lr", "nb_svm", "lsa_lr", "large_lsa_lr")


class Cell(NamedTuple):
    """All systems and seeds of a corpus and a number of labels."""

    corpus: str
    labels: str
    starts: list[str]
    seeds: list[int]


def cells(said: dict[str, Any]) -> Iterator[Cell]:
    """Those that params.yaml asks for."""
    for corpus in said["corpora"]:
        for labels in said["labels"]:
            yield Cell(corpus, str(labels), said["starts"], said["seeds"])
        for whole in (said["all_large"], said["all_small"]):
            if corpus in whole["corpora"]:
                yield Cell(corpus, ALL, whole["starts"], whole["seeds"])


def main(*corpora: str) -> None:
    """Gather what is there of some corpora or all, keep it, print it."""
    said = params()
    if unknown := sorted(set(corpora) - set(said["corpora"])):
        raise UserError(f"{', '.join(unknown)}: no corpus of the study; take some of {', '.join(said['corpora'])}")
    anew = corpora or tuple(said["corpora"])
    found = [one for one in map(gathered, (cell for cell in cells(said) if cell.corpus in anew)) if one["systems"]]
    if not found:
        raise UserError("there are no rows yet; run the study: `python -m benchmarks.studies.repro low_shot`")
    before = read_json(RESULT) if corpora else {}
    others = set(said["corpora"]) - set(anew)
    kept = [one for one in before.get("cells", []) if one["corpus"] in others]
    seconds = before.get("language_models", {}) | language_models(anew)
    ordered = sorted(found + kept, key=lambda one: said["corpora"].index(one["corpus"]))
    write_json(RESULT, {"cells": ordered, "language_models": seconds})
    show(read_json(RESULT))


def gathered(cell: Cell) -> dict[str, Any]:
    """A cell's errors by system and seed, and how ours stand against the linear model with the lowest mean."""
    systems: dict[str, dict[str, Any]] = {}
    wrong, rows = {}, []
    for system, (group, _) in SYSTEMS.items():
        folders = {seed: row(group, cell.corpus, cell.labels, str(seed)) for seed in cell.seeds}
        found_of = {seed: read_row(folder) for seed, folder in folders.items() if (folder / NUMBERS).is_file()}
        found_of = {seed: one for seed, one in found_of.items() if system in one["systems"]}
        if not found_of:
            continue
        seeds, made = list(found_of), list(found_of.values())
        said = [read_said(folders[seed]) for seed in seeds]
        wrong[system] = np.stack([one[system].argmax(axis=1) != one[LABELS] for one in said])
        errors = [one["systems"][system]["error"] for one in made]
        mean, deviation = spread(errors)
        systems[system] = {
            "errors": dict(zip(map(str, seeds), errors, strict=True)),
            "mean": mean,
            "sd": deviation,
            "seconds": float(np.mean([one["systems"][system]["seconds"] for one in made])),
        }
        rows += made
    found: dict[str, Any] = {"corpus": cell.corpus, "labels": cell.labels, "systems": systems}
    if rows:
        # With all labels some weigh the blend and are not trained on.
        found |= {
            "train": max(one["train"] for one in rows),
            "documents": rows[0]["documents"],
            "machines": machines(rows),
        }
    best = min((name for name in LINEAR if name in systems), key=lambda name: systems[name]["mean"], default=None)
    if best:
        found["best_linear"] = best
        ours = [name for name in wrong if name not in LINEAR and len(wrong[name]) == len(wrong[best])]
        found["against_linear"] = {name: paired(wrong[name], wrong[best]) for name in ours}
    return found


def language_models(corpora: Sequence[str]) -> dict[str, float]:
    """Seconds of training of each language model that is finished."""
    folders = {"generic": GENERIC / "results/pretrain/forward"}
    folders |= {corpus: home(corpus) / "results/finetune_lm/forward" for corpus in corpora}
    files = {name: folder / "run.json" for name, folder in folders.items()}
    return {name: read_file(file)["seconds"] for name, file in files.items() if file.is_file()}


def show(result: dict[str, Any]) -> None:
    """Print the table, then what follows from it."""
    names = [name for name in SYSTEMS if any(name in cell["systems"] for cell in result["cells"])]
    headers = ["corpus", "labels", *(SYSTEMS[name][1] for name in names), "pipeline - best linear"]
    rows = []
    for cell in result["cells"]:
        found = cell.get("against_linear", {})
        against = found.get("taught", found.get("blend"))  # with all labels nothing is left to teach on
        labels = f"{cell['train']:,}" if cell["labels"] == ALL else cell["labels"]
        errors = [percent(cell["systems"].get(name)) for name in names]
        rows.append([cell["corpus"], labels, *errors, points(against) if against else ""])
    print_table(headers, rows, markdown=True)
    print()
    for name in names:
        judge(name, [cell for cell in result["cells"] if name in cell.get("against_linear", {})])
    for name, seconds in result["language_models"].items():
        print(f"Language model, {name}: {seconds / 60:.1f} minutes of training.")
    print(machines_line([machine for cell in result["cells"] for machine in cell["machines"]]))


def judge(name: str, cells: list[dict[str, Any]]) -> None:
    """Print how a system stands against the best linear model of each cell."""
    if not cells:
        return
    ours = [cell["systems"][name]["mean"] for cell in cells]
    theirs = [cell["systems"][cell["best_linear"]]["mean"] for cell in cells]
    share = float(
        np.mean([one / max(other, 1 / cell["documents"]) for one, other, cell in zip(ours, theirs, cells, strict=True)])
    )
    intervals = [cell["against_linear"][name]["interval"] for cell in cells]
    better, worse = sum(high < 0 for _, high in intervals), sum(low > 0 for low, _ in intervals)
    print(
        f"{SYSTEMS[name][1]}: {share:.3f} of the best linear model's error on the mean over {len(cells)} cells; "
        f"significantly better in {better}, significantly worse in {worse}"
    )


def points(against: dict[str, Any]) -> str:
    """A difference of errors with its interval."""
    low, high = against["interval"]
    return f"{100 * against['difference']:+.1f} ({100 * low:+.1f} to {100 * high:+.1f})"


if __name__ == "__main__":
    run_stage(main)
