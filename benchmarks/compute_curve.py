"""Error of the classifier against minutes of language-model training: what more compute buys.

Each budget goes the default's road (decoder_small, a fifth of its tokens on the generic corpus, the others on the
domain's, the classifier of few_labels) with as many tokens as this machine trains in those minutes, by the speed of the
run that left data/, models/ and results/ in --data. Linear models of the same text stand beside it: they need seconds.

Finished rows are kept in benchmarks/results/compute_curve.json. Choices belong on the validation part, the default;
`--score test` is for numbers that are reported.

    python -m benchmarks.compute_curve --score test
    python -m benchmarks.compute_curve --minutes 1 2 5 --seeds 1 2 3
"""

import argparse
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from matplotlib.figure import Figure
from matplotlib.ticker import NullLocator

from benchmarks.common import ROOT, in_own_process, kept, machines_line, print_table, write_drawing
from benchmarks.families import FAMILIES, classify, configs_of, digests, documents, scored, spread
from pipeline.base.errors import UserError
from pipeline.base.files import digest, read_json
from pipeline.base.process import run_stage
from pipeline.linear.learners import Learners

NAME = "compute_curve"
FAMILY = FAMILIES[0]
BATCH = 4096  # tokens of a step: budgets are whole steps
GENERIC = 0.2  # share of the tokens
LINEAR = {
    "tfidf_lr": "TF-IDF + logistic regression",
    "nb_svm": "NB-SVM",
    "lsa_lr": "LSA + logistic regression",
    "nb_em_1": "naive Bayes, 1 step of EM",
    "nb_em_15": "naive Bayes, 15 steps of EM",
}
STYLES = ("-.", ":", "--", (0, (5, 1)), (0, (1, 3)))  # of their lines


def speed(data: Path) -> float:
    """Tokens a second of the run in `data`, over both language-model stages."""
    runs = [data / f"results/{stage}/forward/run.json" for stage in ("pretrain", "finetune_lm")]
    for run in runs:
        if not run.is_file():
            raise UserError(f"{run}: no such file; run the pipeline there first (`dvc repro`)")
    return float(np.mean([read_json(run)["tokens_per_second"] for run in runs]))


def tokens(minutes: float, per_second: float) -> tuple[int, int]:
    """Tokens of the generic corpus and of the domain's text that so many minutes are enough for."""
    steps = max(2, round(minutes * 60 * per_second / BATCH))
    generic = max(1, round(GENERIC * steps))
    return generic * BATCH, (steps - generic) * BATCH


def network_row(minutes: float, seed: int, options: argparse.Namespace, read: dict[str, str]) -> dict[str, Any]:
    """One budget and seed."""
    options.pretrain_tokens, options.domain_tokens = tokens(minutes, options.speed)
    configs = configs_of(FAMILY, seed, options)
    folder = options.work / f"{minutes:g}-{seed}-{digest([repr(configs), repr(read)])[:12]}"
    print(f"{minutes:g} minutes, seed {seed}: {options.pretrain_tokens + options.domain_tokens:,} tokens", flush=True)

    def make() -> dict[str, Any]:
        found = in_own_process(classify, configs, folder, options.data, options.score)
        return {"tokens": options.pretrain_tokens + options.domain_tokens, "minutes": minutes, "seed": seed, **found}

    return kept(NAME, [configs, read], make, again=options.again)


def linear_row(name: str, options: argparse.Namespace, read: dict[str, str]) -> dict[str, Any]:
    """A linear model of the same labels and text."""

    def make() -> dict[str, Any]:
        task = options.data / "data/prepared/task"
        learners = Learners.open(
            read_json(task / "labels.json"), options.data / "models/lsa", task.parent / "domain/train.parquet"
        )
        if name not in learners.names:
            return {"accuracy": None}
        texts, carried_NC, multilabel = documents(task, "train")
        fitted = learners.fit([name], texts, carried_NC if multilabel else carried_NC.argmax(axis=1))[name]
        texts, carried_NC, multilabel = documents(task, options.score)
        return scored(carried_NC, fitted.predict_proba(texts), multilabel)

    return kept(NAME, [name, read], make, again=options.again)


def draw(errors: dict[float, list[float]], linear: dict[str, float], scored_on: str) -> Figure:
    """Mean error by minutes with a dot for each seed, and a line for each linear model."""
    figure = Figure(figsize=(7, 4))
    axes = figure.subplots()
    axes.plot(list(errors), [float(np.mean(seeds)) for seeds in errors.values()], color="#1f4e79", label="the network")
    for minutes, seeds in errors.items():
        axes.plot([minutes] * len(seeds), seeds, "o", color="#1f4e79", markersize=4)
    for (name, error), style in zip(linear.items(), STYLES, strict=False):
        axes.axhline(error, linestyle=style, linewidth=1.2, color="#b4501e", label=LINEAR[name])
    axes.set_xscale("log")
    axes.set_xticks(list(errors), [f"{minutes:g}" for minutes in errors])
    axes.xaxis.set_minor_locator(NullLocator())
    axes.set_ylim(bottom=0)
    axes.set_xlabel("minutes of language-model training")
    axes.set_ylabel(f"error in % on {scored_on}")
    axes.spines[["top", "right"]].set_visible(False)
    axes.legend(frameon=False, fontsize=8)
    return figure


def options_of(words: Sequence[str]) -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(f"python -m benchmarks.{NAME}", description=__doc__.split("\n\n")[0])
    default = "(default: %(default)s)"
    parser.add_argument("--minutes", type=float, nargs="+", default=[1, 2, 5, 10, 20], help=f"budgets {default}")
    parser.add_argument("--seeds", type=int, nargs="+", default=[1], help=default)
    parser.add_argument("--score", choices=("validation", "test"), default="validation", help=f"which part {default}")
    parser.add_argument("--data", type=Path, default=ROOT, help="where a run left data/, models/ and results/ (here)")
    parser.add_argument("--work", type=Path, default=ROOT / f".benchmarks/{NAME}", help="for language models (there)")
    parser.add_argument("--again", action="store_true", help="make every row anew")
    parser.add_argument("--markdown", action="store_true", help="print the table for docs/results.md")
    return parser.parse_args(words)


def main(*words: str) -> None:
    """Make what is missing, print error by minutes, draw docs/results/compute_curve.svg."""
    options = options_of(words)
    options.data, options.work = options.data.resolve(), options.work.resolve()
    options.speed = speed(options.data)
    read = digests(options.data, options.score)
    linear = {name: linear_row(name, options, read) for name in LINEAR}
    wrong = {name: 100 * (1 - row["accuracy"]) for name, row in linear.items() if row["accuracy"] is not None}
    rows = [network_row(minutes, seed, options, read) for minutes in sorted(options.minutes) for seed in options.seeds]
    errors: dict[float, list[float]] = {}
    for row in rows:
        errors.setdefault(row["minutes"], []).append(100 * (1 - row["accuracy"]))
    table: list[tuple[Any, ...]] = []
    for minutes, seeds in errors.items():
        of_budget = [row for row in rows if row["minutes"] == minutes]
        taken = float(np.mean([row["language_model_seconds"] for row in of_budget])) / 60
        table.append((f"{minutes:g} minutes", float(np.mean(seeds)), spread(seeds), of_budget[0]["tokens"], taken))
    table += [(LINEAR[name], error, None, None, None) for name, error in wrong.items()]
    print_table(("budget", "error in %", "sd", "tokens", "minutes taken"), table, markdown=options.markdown)
    scored_on = f"{rows[0]['documents']:,} {options.score} documents"
    print(f"\nScored on {scored_on}; the network alone, {len(options.seeds)} seed(s).")
    print(machines_line([row["machine"] for row in rows]))
    print(f"drawn: {write_drawing(NAME, draw(errors, wrong, scored_on))}")


if __name__ == "__main__":
    run_stage(main, trains=True)
