"""`ulmfit check`: validate every choice before anything runs."""

import argparse
from typing import Any

from pipeline.config.check import DATASETS, RAW, check_all
from pipeline.config.chosen import choice, chosen
from pipeline.config.dataset import DatasetConfig


def add_parser(subparsers: Any) -> None:
    """Add `check` to the commands."""
    subparsers.add_parser(
        "check",
        help="validate every choice before anything runs",
        description="Validate every line of configs/config.yaml and every file behind it, and look for the data sets' "
        "files; stop at the first mistake. Data sets on the Hugging Face Hub are not contacted.",
    )


def run(args: argparse.Namespace) -> None:
    """Print one line per choice, then that all is good; raises `UserError` for the first mistake."""
    lines = check_all()
    find_files()
    widths = [max(len(str(line[column])) for line in lines) for column in (0, 1)]
    for key, path, summary in lines:
        print(f"{key:<{widths[0]}}  {path!s:<{widths[1]}}  {summary}")
    print("all good")


def find_files() -> None:
    """Raise `UserError` for the first file of a chosen data set that is not there or has another checksum."""
    from pipeline.text.sources.read import Source  # with pyarrow, which `--help` does without

    for role in DATASETS:
        config = chosen(role, DatasetConfig)
        if config.data_files is None:  # a hub set, the embedded one, or none
            continue
        source = Source(config, RAW / choice(role))
        for part in source.given:
            source.files(part)
