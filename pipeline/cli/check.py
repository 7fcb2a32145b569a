"""`ulmfit check`: validate every choice before anything runs."""

import argparse
from typing import Any

from pipeline.config.check import check_all


def add_parser(subparsers: Any) -> None:
    """Add `check` to the commands."""
    subparsers.add_parser(
        "check",
        help="validate every choice before anything runs",
        description="Validate every line of configs/config.yaml and every file behind it; stop at the first mistake.",
    )


def run(args: argparse.Namespace) -> None:
    """Print one line per choice, then that all is good; raises `UserError` for the first mistake."""
    lines = check_all()
    widths = [max(len(str(line[column])) for line in lines) for column in (0, 1)]
    for key, path, summary in lines:
        print(f"{key:<{widths[0]}}  {path!s:<{widths[1]}}  {summary}")
    print("all good")
