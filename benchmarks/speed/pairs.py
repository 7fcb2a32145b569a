"""Measure contestants in alternation, and say how they compare: medians, ratios of neighbouring turns, peak memory."""

import argparse
import json
import os
import subprocess
import sys
from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from pathlib import Path
from statistics import median
from tempfile import TemporaryFile
from types import TracebackType
from typing import Any, NamedTuple, Self

from benchmarks.common import ROOT, load, machine, machine_line, print_table, read_json, write_json
from pipeline.base.errors import UserError
from pipeline.base.process import ALLOCATOR

WORK = ROOT / ".benchmarks/speed"
LAST_WORDS = 4000  # bytes


class Contestant(NamedTuple):
    """A command that speaks as `turns.Turns` does."""

    name: str
    command: Sequence[str | Path]
    environment: Mapping[str, str] = {}

    def once(self) -> dict[str, Any]:
        """One turn, alone."""
        with _Running(self) as running:
            return running.turn()


def ours(name: str, module: str, *words: str, allocator: bool = False) -> Contestant:
    """A contestant of ours: `allocator` as the stages that train have it."""
    command = [sys.executable, "-m", f"benchmarks.speed.contestants.{module}", *words]
    return Contestant(name, command, ALLOCATOR if allocator else {})


class _Running:
    """A contestant's process, for as long as the `with` lasts."""

    def __init__(self, contestant: Contestant) -> None:
        self.name = contestant.name
        self.open_files = ExitStack()
        self.words = self.open_files.enter_context(TemporaryFile())  # noqa: SIM115  what it says matters only when it fails
        self.process = subprocess.Popen(
            [str(word) for word in contestant.command],
            cwd=ROOT,
            env={**os.environ, **contestant.environment},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self.words,
            text=True,
        )

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.process.kill()
        self.process.communicate()
        self.open_files.close()

    def turn(self) -> dict[str, Any]:
        """Let it work once; what it reports, with its speed."""
        assert self.process.stdin is not None
        assert self.process.stdout is not None
        try:
            self.process.stdin.write("\n")
            self.process.stdin.flush()
            line = self.process.stdout.readline()
        except BrokenPipeError:
            line = ""
        if not line:
            self.words.seek(0)
            sys.stderr.buffer.write(self.words.read()[-LAST_WORDS:])
            raise UserError(f"{self.name}: ended before its turn did; its own last words stand above")
        answer = json.loads(line)
        return {**answer, "speed": answer["amount"] / answer["seconds"]}


def alternate(contestants: Sequence[Contestant], rounds: int) -> dict[str, Any]:
    """Let all work in turn, `rounds` times, after one turn each that is thrown away; the first one is ours.

    Returns the machine and, for each, its turns, medians and the ratio of our speed to its own in the same round.
    """
    before = machine()
    turns: dict[str, list[dict[str, Any]]] = {one.name: [] for one in contestants}
    with ExitStack() as stack:
        running = []
        for one in contestants:
            running.append(stack.enter_context(_Running(one)))
            running[-1].turn()
        for number in range(rounds):
            for each in running:
                turns[each.name].append(each.turn())
            print(f"round {number + 1} of {rounds}, load {load()}", file=sys.stderr, flush=True)
    first = turns[contestants[0].name]
    rows = {name: _summary(first, each) for name, each in turns.items()}
    return {"machine": before, "load_at_end": load(), "rows": rows}


def _summary(first: list[dict[str, Any]], own: list[dict[str, Any]]) -> dict[str, Any]:
    ratios = [a["speed"] / b["speed"] for a, b in zip(first, own, strict=True)]
    peak = own[-1]["peak_mb"]
    return {
        "speed": median(turn["speed"] for turn in own),
        "speeds": [turn["speed"] for turn in own],
        "ours_is_faster_by": median(ratios),
        "ratios": ratios,
        "peak_mb": peak,
        "our_memory_is": first[-1]["peak_mb"] / peak,
        "versions": own[-1]["versions"],
    }


def print_rows(found: dict[str, Any], what: str, unit: str) -> None:
    """The table of what `alternate` found."""
    rows = [
        (
            name,
            round(row["speed"]) if row["speed"] >= 100 else row["speed"],
            f"{row['ours_is_faster_by']:.2f} ({min(row['ratios']):.2f}-{max(row['ratios']):.2f})",
            round(row["peak_mb"]),
            f"{row['our_memory_is']:.2f}",
        )
        for name, row in found["rows"].items()
    ]
    print_table((what, unit, "first row / this (all rounds)", "peak MB", "first row / this"), rows)
    versions = sorted(
        {f"{name} {number}" for row in found["rows"].values() for name, number in row["versions"].items()}
    )
    print(machine_line(found["machine"]))
    if versions:
        print(", ".join(versions))
    print()


def keep(name: str, key: str, found: dict[str, Any]) -> None:
    """Put numbers into benchmarks/results/speed_NAME.json under `key`; other keys stay."""
    write_json(f"speed_{name}", {**read_json(f"speed_{name}"), key: found})


def options(module: str, description: str | None, rounds: int = 5) -> argparse.ArgumentParser:
    """The words that all rows have."""
    parser = argparse.ArgumentParser(f"python -m benchmarks.speed.{module}", description=description)
    parser.add_argument("--rounds", type=int, default=rounds, help="turns of each, at least 5 (default: %(default)s)")
    parser.add_argument("--data", type=Path, default=os.environ.get("DATASETS_DIR"), help="folder of real corpora")
    parser.add_argument("--work", type=Path, default=WORK, help="for what is made on the way (default: %(default)s)")
    return parser
