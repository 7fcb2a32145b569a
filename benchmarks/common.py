"""What the benchmarks share: the machine they ran on, tables, and the files that keep their numbers."""

import os
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import matplotlib
import torch
from matplotlib.figure import Figure

from pipeline.base import files
from pipeline.training.environment import describe, usable_processors

ROOT = Path(__file__).resolve().parents[1]
RESULTS = ROOT / "benchmarks/results"
DRAWINGS = ROOT / "docs/results"


def machine() -> dict[str, Any]:
    """What stands beside a number: processor, cores, threads, versions, load (mean of one minute) and commit."""
    device = "cuda" if torch.cuda.is_available() else "cpu"
    found = describe(device, 1, torch.get_num_threads(), "fp32", 0)
    hardware, versions = found["hardware"], found["versions"]
    return {
        "processor": hardware["device"],
        "instruction_set": hardware["instruction_set"],
        "cores": usable_processors(),
        "threads": hardware["threads"],
        "load": load(),
        "python": versions["python"],
        "torch": versions["torch"],
        "commit": found["commit"],
    }


def load() -> float | None:
    """Processes that wanted a core in the last minute, on average: timings of a busy machine mean little."""
    return round(os.getloadavg()[0], 2) if hasattr(os, "getloadavg") else None


def machine_line(found: dict[str, Any]) -> str:
    """One line of what `machine` found, to stand under a table."""
    return (
        f"{found['processor']} ({found['instruction_set']}), {found['cores']} cores, {found['threads']} threads, "
        f"load {found['load']}, Python {found['python']}, torch {found['torch']}, commit {found['commit']}"
    )


def print_table(headers: Sequence[str], rows: Iterable[Sequence[Any]], *, markdown: bool = False) -> None:
    """Print rows under headers: the first column to the left, the others, which are numbers, to the right.

    None is an empty cell, a float gets 3 decimals, an integer its thousands; text stays as it is.
    """
    cells = [list(headers), *([_cell(value) for value in row] for row in rows)]
    widths = [max(len(row[column]) for row in cells) for column in range(len(headers))]
    lines = [
        [cell.ljust(width) if column == 0 else cell.rjust(width) for column, (cell, width) in enumerate(fitted)]
        for fitted in (list(zip(row, widths, strict=True)) for row in cells)
    ]
    if markdown:
        rule = ["-" * widths[0], *("-" * (width - 1) + ":" for width in widths[1:])]
        print("\n".join(f"| {' | '.join(line)} |" for line in [lines[0], rule, *lines[1:]]))
    else:
        print("\n".join("  ".join(line).rstrip() for line in lines))


def _cell(value: Any) -> str:
    if value is None:
        return ""
    if isinstance(value, float):
        return f"{value:.3f}"
    return f"{value:,}" if isinstance(value, int) else str(value)


def read_json(name: str) -> dict[str, Any]:
    """What benchmarks/results/NAME.json keeps; nothing if it is not there."""
    path = RESULTS / f"{name}.json"
    return dict(files.read_json(path)) if path.is_file() else {}


def write_json(name: str, value: dict[str, Any]) -> Path:
    """Keep numbers in benchmarks/results/NAME.json."""
    path = RESULTS / f"{name}.json"
    files.write_json(path, value)
    return path


def write_drawing(name: str, figure: Figure) -> Path:
    """Write docs/results/NAME.svg: equal bytes for equal numbers (no date, fixed ids), letters kept as text."""
    path = DRAWINGS / f"{name}.svg"
    path.parent.mkdir(parents=True, exist_ok=True)
    with matplotlib.rc_context({"svg.hashsalt": name, "svg.fonttype": "none"}):
        figure.savefig(path, format="svg", metadata={"Date": None}, bbox_inches="tight")
    return path
