"""Results say which code made them."""

import subprocess
from pathlib import Path

import pytest

from pipeline.training.environment import commit


def git(*words: str) -> str:
    identity = ["-c", "user.name=nobody", "-c", "user.email=nobody@example.org"]
    return subprocess.run(["git", *identity, *words], check=True, capture_output=True, text=True).stdout.strip()


def test_the_commit_is_dirty_after_a_change_of_code_and_not_after_results(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    assert commit() is None
    git("init", "-q")
    for name in ("results/metrics.json", "stages/pretrain.py", "dvc.lock"):
        Path(name).parent.mkdir(exist_ok=True)
        Path(name).write_text("before")
    git("add", ".")
    git("commit", "-qm", "first")
    name = git("describe", "--always")
    for result in ("results/metrics.json", "dvc.lock"):
        Path(result).write_text("after")
    Path("notes.txt").write_text("not tracked")
    assert commit() == name
    Path("stages/pretrain.py").write_text("after")
    assert commit() == f"{name}-dirty"
