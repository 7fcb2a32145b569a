"""Run a study with DVC: `python -m benchmarks.studies.repro low_shot`.

A study's graph is benchmarks/STUDY/study.yaml, a dvc.yaml under another name. DVC reads every dvc.yaml of a repository
at each of its commands, and the hundreds of rows of the studies would cost each of them seconds; so the graphs stand
under DVC's own name while this command runs, and no longer. Of several such commands at once the last to end takes them
away.

With `--jobs 4` four processes make rows at once, each on its share of the processors: networks this small train faster
four times on one thread than one after the other on four. What rows share is made first, by all processors.
"""

import argparse
import os
import re
import subprocess
import sys
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from fnmatch import fnmatch
from pathlib import Path
from typing import IO

from benchmarks.common import ROOT
from pipeline.base.errors import UserError, suggest
from pipeline.base.files import write_bytes
from pipeline.base.process import run_stage
from pipeline.base.processors import usable_processors

STUDIES = ("low_shot", "ablations")
USERS = ".benchmarks/studies/users"  # who runs a study holds a lock of it, which is let go however the process ends
ROW = re.compile(r"@.*-\d+$")
AFTER_ROWS = ("gather", "figure", "draw")  # how the names of stages begin that read rows


@contextmanager
def shown(root: Path = ROOT) -> Iterator[None]:
    """Let DVC see the studies' graphs; together, as one uses what the other makes."""
    graphs = [root / "benchmarks" / study / "study.yaml" for study in STUDIES]
    (root / USERS).parent.mkdir(parents=True, exist_ok=True)
    with (root / USERS).open("a") as users:
        _lock(users, alone=False)  # waits no longer than another takes the graphs away
        try:
            for graph in graphs:
                write_bytes(graph.with_name("dvc.yaml"), graph.read_bytes())  # at once: another may be reading it
            yield
        finally:
            if _lock(users, alone=True):
                for graph in graphs:
                    graph.with_name("dvc.yaml").unlink(missing_ok=True)


def _lock(users: IO[str], *, alone: bool) -> bool:
    """Hold a lock that others may hold too, until the file is closed; or, `alone`, hold it if nobody else does."""
    try:
        import fcntl

        fcntl.flock(users, fcntl.LOCK_EX | fcntl.LOCK_NB if alone else fcntl.LOCK_SH)
    except ImportError:
        return True  # no advisory locks on this system (Windows)
    except BlockingIOError:
        return False
    return True


def targets(study: str, stages: Sequence[str]) -> list[str]:
    """What DVC calls some stages of a study; without any, all of it."""
    if study not in STUDIES:
        raise UserError(f'"{study}" is no study; {suggest(study, STUDIES)}')
    file = f"benchmarks/{study}/dvc.yaml"
    return [f"{file}:{stage}" for stage in stages] or [file]


def rows_of(names: Sequence[str], stages: Sequence[str]) -> list[str]:
    """Those of some stages' names that are wanted rows; a row's name ends with its seed."""
    return [name for name in names if ROW.search(name) and any(fnmatch(name, stage) for stage in stages or ["*"])]


def before_rows(names: Sequence[str], rows: Sequence[str]) -> list[str]:
    """What rows share: all that is no row, is of no other corpus, and does not read the rows."""
    corpora = {_item(name)[0] for name in rows}
    others = (name for name in names if not ROW.search(name) and not name.startswith(AFTER_ROWS))
    return [name for name in others if "@" not in name or _item(name)[0] in corpora]


def groups(rows: Sequence[str]) -> list[list[str]]:
    """Rows as lists, none of which needs a row of another, the longest first.

    Those of one corpus and seed, the first and the last word of a name, stay together: a blend reads others of them.
    """
    found: dict[tuple[str, str], list[str]] = {}
    for name in rows:
        found.setdefault((_item(name)[0], _item(name)[-1]), []).append(name)
    return sorted(found.values(), key=len, reverse=True)


def _item(name: str) -> list[str]:
    return name.partition("@")[2].split("-")


def side_by_side(study: str, stages: Sequence[str], jobs: int, options: Sequence[str]) -> int:
    """Make rows in several processes, after what they share; returns the highest exit code."""
    listed = [sys.executable, "-m", "dvc", "stage", "list", "--name-only", *targets(study, ())]
    lines = subprocess.run(listed, cwd=ROOT, check=True, capture_output=True, text=True).stdout.split()
    names = [line.rpartition(":")[2] for line in lines]
    rows = rows_of(names, stages)
    if not rows:
        raise UserError(f"{study}: {' '.join(stages)} names no row; rows are called such as {names[-1]}")
    if code := _repro(targets(study, before_rows(names, rows)), options).wait():
        return code
    threads = {"OMP_NUM_THREADS": str(max(1, usable_processors() // jobs))}
    # Single stages: to look at one that several need, DVC would lock it, even when it finds nothing to do.
    alone = [*options, "--single-item"]
    with ThreadPoolExecutor(jobs) as pool:
        return max(pool.map(lambda group: _repro(targets(study, group), alone, threads).wait(), groups(rows)))


def _repro(
    wanted: Sequence[str], options: Sequence[str], settings: Mapping[str, str] | None = None
) -> "subprocess.Popen[bytes]":
    command = [sys.executable, "-m", "dvc", "--wait-for-lock", "repro", "--glob", *wanted, *options]
    return subprocess.Popen(command, cwd=ROOT, env=os.environ | (settings or {}))


def main(*words: str) -> None:
    """Run `dvc repro`; its exit code is ours."""
    parser = argparse.ArgumentParser("python -m benchmarks.studies.repro", description=__doc__)
    parser.add_argument("study", help=" or ".join(STUDIES))
    parser.add_argument(
        "stages", nargs="*", help="run these and what they need, such as domain_text or 'linear@trec-*'"
    )
    parser.add_argument("--keep-going", action="store_true", help="after a stage that fails, run what does not need it")
    parser.add_argument("--dry", action="store_true", help="only say what would run")
    parser.add_argument("--jobs", type=int, default=1, help="make so many rows at once, and nothing but rows")
    given = parser.parse_args(words)
    chosen = [f"--{name.replace('_', '-')}" for name in ("keep_going", "dry") if getattr(given, name)]
    wanted = targets(given.study, given.stages)
    with shown():
        if given.jobs > 1:
            code = side_by_side(given.study, given.stages, given.jobs, chosen)
        else:
            code = _repro(wanted, chosen).wait()
    if code:
        raise SystemExit(code)


if __name__ == "__main__":
    run_stage(main)
