"""`ulmfit tune`: try a few settings of the classifier by cross-validation, and write the best as a config."""

import argparse
import subprocess
import sys
from pathlib import Path
from typing import Any

from pipeline.base.errors import UserError
from pipeline.config.choices import NAME
from pipeline.config.chosen import CONFIGS, FOLDERS, choice, chosen
from pipeline.config.classifier import ClassifierConfig
from pipeline.planning.made import read_by, require_made

CANDIDATES = 8
# What tuning starts from, beside the model of the first direction.
NEEDED = (Path("data/prepared/task/labels.json"), Path("data/tokens/task/train"))
MODELS = Path("models/domain")
MAKE_IT = "dvc repro finetune_lm tokenise@task"


def add_parser(subparsers: Any) -> None:
    """Add `tune` to the commands."""
    parser = subparsers.add_parser(
        "tune",
        help="look for better settings of the classifier",
        description="Try the chosen classifier config with one thing changed at a time (learning rate, epochs, causal "
        "mask, pooling, unfreezing, discriminative rates, label smoothing) on the chosen task, and write the best as "
        "configs/classifier/NAME.yaml. Each candidate is judged by the log loss of cross-validation on the "
        "labelled training documents, so that no label is lost, or of a validation split of 500 documents or more "
        "(`enough` in configs/blend/). The test set is not used. A candidate that is behind the best so far by two "
        "standard errors is dropped; none is taken that is ahead of the present config by no more than luck explains: "
        "by one standard error, or more where several are tried. Stopped, it goes on where it was when it is started "
        "again. The language model must be there: dvc repro finetune_lm tokenise@task.",
    )
    parser.add_argument("--name", help="name of the config to write (default: tuned_TASK)")
    parser.add_argument(
        "--candidates", type=int, default=CANDIDATES, metavar="N", help=f"how many to try ({CANDIDATES})"
    )
    parser.add_argument("--folds", type=int, metavar="N", help="judge by N folds (`folds` in configs/blend/)")
    parser.add_argument("--force", action="store_true", help="overwrite a config of that name")


def run(args: argparse.Namespace) -> None:
    """Refuse what cannot end well before anything is trained; then have the search run in a process of its own."""
    chosen("classifier", ClassifierConfig)
    name = args.name or f"tuned_{choice('task')}"
    path = CONFIGS / FOLDERS["classifier"] / f"{name}.yaml"
    if not NAME.fullmatch(name):
        raise UserError(f'--name "{name}" cannot be a file name everywhere; take letters, digits and _')
    if path.exists() and not args.force:
        raise UserError(f"{path}: is there already; choose another name with --name, or overwrite it with --force")
    if args.candidates < 1:
        raise UserError(f"--candidates {args.candidates} leaves nothing to try; ask for 1 or more")
    if args.folds is not None and args.folds < 2:
        raise UserError(f"--folds {args.folds} leaves nothing to judge by; ask for 2 or more")
    for needed in (*NEEDED, MODELS / choice("directions")[0]):
        if not needed.exists():
            raise UserError(f"{needed}: is not there, and tuning starts from it; run `{MAKE_IT}` first")
    require_made(read_by("finetune_classifier", choice("directions")[0]), MAKE_IT)
    words = [name, str(args.candidates), *([str(args.folds)] if args.folds else [])]
    search = subprocess.Popen([sys.executable, "-m", "stages.tune", *words])
    try:
        code = search.wait()
    except KeyboardInterrupt:  # a terminal tells both; the search keeps what it has, and then ends
        code = search.wait()
    if code:
        sys.exit(code)  # it has said why
