"""`ulmfit new-task`: look at a file of labelled texts, take it into data/raw/ under DVC, and choose it."""

import argparse
import io
import re
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

from ruamel.yaml import YAML

from pipeline.base.errors import UserError, suggest
from pipeline.base.files import COMPRESSED, endings, whole_folder, write_text
from pipeline.cli.use import rewrite
from pipeline.config.check import check_all
from pipeline.config.choices import NAME
from pipeline.config.chosen import CHOICES, CONFIGS, read_choices
from pipeline.config.dataset import DatasetConfig, Given
from pipeline.config.read import parse

RAW = Path("data/raw")
DATASETS = CONFIGS / "dataset"
FORMATS = {".csv": "csv", ".tsv": "tsv", ".json": "json", ".jsonl": "jsonl", ".ndjson": "jsonl", ".parquet": "parquet"}
TEST_SHARE = 0.2  # cut off where no file is given
# Training documents from which on a tenth of them is a validation part that can judge alone (`enough` in
# configs/blend/), and another recipe of the classifier is proposed. Fewer are all trained on, and judge in turns.
MANY_LABELS = 5_000
VALIDATION_SHARE = 0.1

NEXT = """
data/raw/{name}/ holds the files (under DVC) and configs/dataset/{name}.yaml describes them.
configs/config.yaml now says `task: {name}` and `domain: {domain}`.
{why}
{generic}
Next:
  ulmfit check       validates all choices
  dvc repro          trains and evaluates
  ulmfit results     prints the results beside the baselines
To keep this in git: git add data/raw/{name}.dvc data/raw/.gitignore configs"""
LIBRARIES = """\
It also says `generic: embedded_generic`, the documentation of Python libraries, which is available offline.
Online, English text is better prepared for by Wikipedia's, in some minutes more: `ulmfit use wikipedia`."""
MANY = """
The classifier's default recipe is for fewer than {many:,} labels. For these {documents:,}, first:
  ulmfit use classifier=many_labels scratch=many_labels"""


def add_parser(subparsers: Any) -> None:
    """Add `new-task` to the commands."""
    parser = subparsers.add_parser(
        "new-task",
        help="take in a file of labelled texts as a task of your own",
        description="Audit a file of labelled texts, copy it into data/raw/NAME/ under DVC, write "
        "configs/dataset/NAME.yaml and choose it. Nothing is changed where the file is bad. Without --text and "
        "--label the columns are shown and some proposed.",
    )
    formats = ", ".join(sorted({suffix[1:] for suffix in FORMATS}))
    parser.add_argument(
        "file", type=Path, help=f"{formats} (also {', '.join(COMPRESSED)}), or a folder of files per class"
    )
    parser.add_argument(
        "--text", nargs="+", action="extend", metavar="COLUMN", help="column of the text; several are joined"
    )
    parser.add_argument(
        "--label",
        nargs="+",
        action="extend",
        metavar="COLUMN",
        help="column of the label, or several columns of 0 and 1",
    )
    parser.add_argument("--separator", help="separates several labels in the label column, for instance ';'")
    parser.add_argument("--name", help="name of the task (the file's, unless given)")
    parser.add_argument(
        "--unlabelled", type=Path, metavar="FILE", help="unlabelled text in FILE's format, in a column of the same name"
    )
    parser.add_argument(
        "--validation",
        type=Path,
        metavar="FILE",
        help=f"validation split (default: a tenth from {MANY_LABELS:,} documents on, else none)",
    )
    parser.add_argument("--test", type=Path, metavar="FILE", help="test set (default: a fifth is split off)")
    parser.add_argument("--labels-per-class", type=int, metavar="N", help="train on N documents of each class only")
    parser.add_argument("--seed", type=int, default=1, help="random seed of the splits (default: 1)")


def run(args: argparse.Namespace) -> None:
    """Audit first; then copy, `dvc add`, write the config and choose it."""
    # Late: reading texts needs numpy and pyarrow, the help text does not.
    from pipeline.cli.task_audit import audit, show, training_documents
    from pipeline.cli.task_choices import advice, domain_of
    from pipeline.cli.task_columns import propose_columns

    given: dict[Given, Path | None] = {
        "train": args.file,
        "validation": args.validation,
        "test": args.test,
        "unlabelled": args.unlabelled,
    }
    files = {part: path for part, path in given.items() if path is not None}
    suffixes = {part: _suffix(path) for part, path in files.items()}
    kind = _format(files, suffixes)
    stem = args.file.name[: len(args.file.name) - len(suffixes["train"])]
    name = args.name or re.sub(r"[^\w-]+", "_", stem).strip("_").lower()
    _check_name(name)
    choices = read_choices()
    if kind != "folder" and not (args.text and args.label):
        propose_columns(args.file, kind)
        return
    values = _values(args, kind, {part: f"{part}{suffix}" for part, suffix in suffixes.items()})
    config = parse(DatasetConfig, values, str(args.file))
    if args.validation is None and training_documents(config, files) >= MANY_LABELS:
        values["validation"] = VALIDATION_SHARE
        config = parse(DatasetConfig, values, str(args.file))
    numbers = audit(config, files)
    if not numbers["spaced"]:
        values["spaced"] = False
    show(str(args.file), numbers)
    domain, why = domain_of(name, numbers["corpus"]["characters"])
    changes = {"task": name, "domain": domain}
    check_all({**choices, **changes}, {name: config})
    _take_in(name, files, values, changes)
    generic = advice(name, domain, numbers) or (LIBRARIES if choices["generic"] == "embedded_generic" else "")
    print(NEXT.format(name=name, domain=domain, why=why, generic=generic))
    documents = numbers["parts"]["train"]["documents"]
    if documents >= MANY_LABELS:
        print(MANY.format(many=MANY_LABELS, documents=documents))


def _suffix(path: Path) -> str:
    """The end of a file's name that tells format and compression, in lower case; "" for a folder."""
    if not path.exists():
        known = (entry.name for entry in path.parent.glob("*") if not entry.name.startswith("."))
        raise UserError(f"{path}: no such file; {suggest(path.name, known)}")
    if path.is_dir():
        return ""
    form, packed = endings(path.name)
    if form not in FORMATS:
        known_formats = ", ".join(sorted(FORMATS))
        raise UserError(f"{path}: cannot tell its format; rename it to end in one of {known_formats} (and .gz, ...)")
    return form + packed


def _format(files: dict[Given, Path], suffixes: dict[Given, str]) -> str:
    """What the files are, as `path:` says it."""
    kinds = {part: FORMATS["." + suffix.split(".")[1]] if suffix else "folder" for part, suffix in suffixes.items()}
    for part, kind in kinds.items():
        if kind != kinds["train"]:
            raise UserError(
                f"{files[part]}: is {kind} and {files['train']} is {kinds['train']}; give files of one format"
            )
    return kinds["train"]


def _check_name(name: str) -> None:
    if not NAME.fullmatch(name):
        raise UserError(f'"{name}" cannot be a file name everywhere; give one of letters, digits and _ with `--name`')
    config, folder = DATASETS / f"{name}.yaml", RAW / name
    for path in (config, folder):
        if path.exists():
            raise UserError(
                f"{path}: is there already; choose another name with `--name`, or remove the task first ({config}, "
                f"{folder}, {folder}.dvc); for more rows of the same task see README.md, Later"
            )
    if not CHOICES.is_file():
        raise UserError(f"{CHOICES}: no such file; run this in the root of the repository")


def _values(args: argparse.Namespace, kind: str, names: dict[Given, str]) -> dict[str, Any]:
    """The lines of the new config."""
    values: dict[str, Any] = {"path": kind, "data_files": names}
    values["text"] = _one_or_several(args.text or ["text"])
    values["label"] = _one_or_several(args.label or ["label"])
    if args.separator is not None:
        values["label_separator"] = args.separator
    if "validation" not in names:
        values["validation"] = 0
    if "test" not in names:
        values["test"] = TEST_SHARE
    if args.labels_per_class is not None:
        values["labels_per_class"] = args.labels_per_class
    values["seed"] = args.seed
    return values


def _one_or_several(columns: list[str]) -> str | list[str]:
    return columns[0] if len(columns) == 1 else columns


def _take_in(name: str, files: dict[Given, Path], values: dict[str, Any], choices: dict[str, str]) -> None:
    """Copy the files, put them under DVC, write the config, choose it; all or nothing."""
    folder, config = RAW / name, DATASETS / f"{name}.yaml"
    pointer = folder.with_name(f"{name}.dvc")
    try:
        with whole_folder(folder) as partial:
            for part, path in files.items():
                target = partial / values["data_files"][part]
                if path.is_dir():
                    shutil.copytree(path, target)
                else:
                    shutil.copyfile(path, target)
        _dvc_add(folder)
        write_text(config, _yaml(f"Made by `ulmfit new-task {files['train'].name}`.", values))
        write_text(CHOICES, rewrite(CHOICES.read_text(encoding="utf-8"), choices))
    except BaseException:
        shutil.rmtree(folder, ignore_errors=True)
        pointer.unlink(missing_ok=True)
        config.unlink(missing_ok=True)
        raise


def _dvc_add(folder: Path) -> None:
    command = [sys.executable, "-m", "dvc", "add", str(folder)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        lines = f"{done.stdout}\n{done.stderr}".splitlines()
        why = next((line.removeprefix("ERROR: ") for line in lines if line.startswith("ERROR")), "no message")
        raise UserError(f"`dvc add {folder}` failed: {why}")


def _yaml(comment: str, values: dict[str, Any]) -> str:
    text = io.StringIO()
    yaml = YAML()
    yaml.default_flow_style = None  # the innermost mappings and lists on one line
    yaml.dump(values, text)
    return f"# {comment}\n{text.getvalue()}"
