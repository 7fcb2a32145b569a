"""Run a study with DVC: `python -m benchmarks.studies.repro low_shot`.

A study's graph is benchmarks/STUDY/study.yaml, a dvc.yaml under another name. DVC reads every dvc.yaml of a repository
at each of its commands, and the hundreds of rows of the studies would cost each of them seconds; so the graphs stand
under DVC's own name while this command runs, and no longer.
"""

import argparse
import shutil
import subprocess
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from benchmarks.common import ROOT
from pipeline.base.errors import UserError, suggest
from pipeline.base.process import run_stage

STUDIES = ("low_shot", "ablations")


@contextmanager
def shown(root: Path = ROOT) -> Iterator[None]:
    """Let DVC see the studies' graphs; together, as one uses what the other makes."""
    graphs = {root / "benchmarks" / study / "study.yaml" for study in STUDIES}
    try:
        for graph in graphs:
            shutil.copyfile(graph, graph.with_name("dvc.yaml"))
        yield
    finally:
        for graph in graphs:
            graph.with_name("dvc.yaml").unlink(missing_ok=True)


def targets(study: str, stages: Sequence[str]) -> list[str]:
    """What DVC calls some stages of a study; without any, all of it."""
    if study not in STUDIES:
        raise UserError(f'"{study}" is no study; {suggest(study, STUDIES)}')
    file = f"benchmarks/{study}/dvc.yaml"
    return [f"{file}:{stage}" for stage in stages] or [file]


def main(*words: str) -> None:
    """Run `dvc repro`; its exit code is ours."""
    parser = argparse.ArgumentParser("python -m benchmarks.studies.repro", description=__doc__)
    parser.add_argument("study", help=" or ".join(STUDIES))
    parser.add_argument(
        "stages", nargs="*", help="run these and what they need, such as domain_text or 'linear@trec-*'"
    )
    parser.add_argument("--keep-going", action="store_true", help="after a stage that fails, run what does not need it")
    parser.add_argument("--dry", action="store_true", help="only say what would run")
    given = parser.parse_args(words)
    command = [sys.executable, "-m", "dvc", "repro", "--glob", *targets(given.study, given.stages)]
    command += [f"--{name.replace('_', '-')}" for name in ("keep_going", "dry") if getattr(given, name)]
    with shown():
        done = subprocess.run(command, cwd=ROOT, check=False)
    if done.returncode:
        raise SystemExit(done.returncode)


if __name__ == "__main__":
    run_stage(main)
