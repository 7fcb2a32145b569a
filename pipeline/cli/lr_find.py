"""`ulmfit lr-find`: how the loss of a stage answers to the learning rate, as a picture, and a rate to take."""

import argparse
import csv
import subprocess
import sys
from pathlib import Path
from typing import Any

from pipeline.base.errors import UserError
from pipeline.config.choices import SCHEMAS
from pipeline.config.chosen import CHOICES, chosen, path_of, read_choices
from pipeline.planning.made import read_by, require_made

# The choice of configs/config.yaml whose file holds the rate of each stage.
STAGES = {
    "pretrain": "pretrain",
    "finetune_lm": "finetune_lm",
    "finetune_classifier": "classifier",
    "self_train": "classifier",
    "scratch": "scratch",
}
# What makes all that a stage starts from.
MAKE_IT = {
    "pretrain": "dvc repro tokenise@generic",
    "finetune_lm": "dvc repro pretrain tokenise@domain",
    "finetune_classifier": "dvc repro finetune_lm tokenise@task",
    "self_train": "dvc repro blend",
    "scratch": "dvc repro tokenise@task",
}


def add_parser(subparsers: Any) -> None:
    """Add `lr-find` to the commands."""
    parser = subparsers.add_parser(
        "lr-find",
        help="look for a learning rate",
        description="Train a stage for 100 steps at a rate that climbs from far too low to far too high, draw the loss "
        "against the rate, and suggest the rate at which it falls fastest (Smith 2017). The stages before it must have "
        "run. No model, result or config is changed.",
    )
    parser.add_argument("stage", choices=STAGES, metavar="STAGE", help=", ".join(STAGES))
    parser.add_argument(
        "--direction", choices=("forward", "backward"), help="default: the first in configs/config.yaml"
    )


def run(args: argparse.Namespace) -> None:
    """Have the stage's own script train, then draw and say what it found."""
    key = STAGES[args.stage]
    directions = read_choices()["directions"]
    config, direction = chosen(key, SCHEMAS[key]), args.direction or directions[0]
    if direction not in directions:  # no stage makes what it would start from
        raise UserError(
            f"{CHOICES}: `directions: [{', '.join(directions)}]` leaves out {direction}; add it with "
            f'`ulmfit use "directions=[forward, backward]"`, then run `{MAKE_IT[args.stage]}`'
        )
    require_made(read_by(args.stage, direction), MAKE_IT[args.stage])
    done = subprocess.run([sys.executable, "-m", f"stages.{args.stage}", direction, "lr-find"], check=False)
    if done.returncode:
        sys.exit(done.returncode)  # it has said why

    from pipeline.cli.lr_curve import draw_rates
    from pipeline.training.rate_search import STEPS, smoothed, suggested

    curve = Path("results/lr_find") / args.stage / direction / "curve.csv"
    with curve.open(encoding="utf-8") as file:
        rows = [(float(row["learning_rate"]), float(row["train_loss"])) for row in csv.DictReader(file)]
    rates, losses = [rate for rate, _ in rows], [loss for _, loss in rows]
    rate = suggested(rates, losses)
    picture = draw_rates(curve.with_suffix(".svg"), rates, losses, smoothed(losses).tolist(), rate, args.stage)
    stopped = f", where the loss had grown fourfold after {len(rows)} steps" if len(rows) < STEPS else ""
    print(f"{len(rows)} steps at rates from {rates[0]:.0e} to {rates[-1]:.2g}{stopped}: {picture}")
    if rate is None:
        print("The loss falls at none of these rates; look at the picture, and at the data.")
        return
    print(f"It falls fastest at {rate:.1g}. {path_of(key)} has `learning_rate: {config.learning_rate:g}`; to take it:")
    print(f"  learning_rate: {rate:.1g}")
    if config.optimizer == "muon":
        print(
            f"  muon_learning_rate: {rate / config.learning_rate * config.muon_learning_rate:.1g}  # it climbed along"
        )
