"""What the benchmarks share: the machine they ran on, tables, and the files that keep their numbers."""

import json
import os
from collections.abc import Callable, Iterable, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from pathlib import Path
from typing import Any

import matplotlib
import torch
from matplotlib.figure import Figure

from pipeline.base import files
from pipeline.base.processors import usable_processors
from pipeline.config.chosen import FOLDERS
from pipeline.training.environment import describe

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


def machines_line(found: Sequence[dict[str, Any]]) -> str:
    """The same for rows that were made one after the other, perhaps on several days: all commits, the highest load."""
    loads = [one["load"] for one in found if one["load"] is not None]
    commits = ", ".join(sorted({str(one["commit"]) for one in found}))
    alike = [one | {"load": f"at most {max(loads)}" if loads else None, "commit": commits} for one in found]
    return "\n".join(sorted({machine_line(one) for one in alike}))


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


def kept(name: str, about: Any, make: Callable[[], dict[str, Any]], *, again: bool = False) -> dict[str, Any]:
    """One row of a benchmark whose command can be stopped and started anew: made once, then read from its file.

    about: all that the row depends on, as JSON; a digest of it is the row's key in benchmarks/results/NAME.json.
    again: make it anew even so.
    """
    key = files.digest([json.dumps(about, sort_keys=True)])[:16]
    found = read_json(name).get(key)
    if again or found is None:
        before = machine()  # the load of other work, not of this row
        found = {**make(), "machine": before}
        write_json(name, {**read_json(name), key: found})  # read anew: another seed may be running beside this one
    return dict(found)


def in_own_process(function: Callable[..., Any], *words: Any) -> Any:
    """`function(*words)` in a fresh process, so that its peak of memory is its own; errors come back from there."""
    with ProcessPoolExecutor(1, mp_context=get_context("spawn")) as pool:
        return pool.submit(function, *words).result()


def workspace(folder: Path, configs: Mapping[str, Mapping[str, Any]], links: Mapping[str, Path]) -> Path:
    """A folder in which a stage's `main` runs as it does in the repository's root.

    configs: for each choice of configs/config.yaml that the stage reads, its values.
    links: what is read but not made there, by its place in the folder, such as data/tokens.
    """
    files.write_json(folder / "configs/config.yaml", dict.fromkeys(configs, "chosen"))  # JSON is YAML
    for key, values in configs.items():
        files.write_json(folder / "configs" / FOLDERS[key] / "chosen.yaml", dict(values))
    for place, target in links.items():
        (folder / place).parent.mkdir(parents=True, exist_ok=True)
        (folder / place).unlink(missing_ok=True)
        (folder / place).symlink_to(target.resolve())
    return folder
