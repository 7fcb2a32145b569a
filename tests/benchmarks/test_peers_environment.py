"""Promise: the peers' environment is made whole or not at all, and whoever lacks it reads which command makes it."""

import re
import subprocess
from pathlib import Path

import pytest

from benchmarks.peers import environment
from pipeline.base.errors import UserError


@pytest.fixture
def calls(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> list[list[str]]:
    """An empty place for the environment, and what would be called to fill it."""
    made: list[list[str]] = []
    (tmp_path / "requirements.txt").write_text("fastai==2.8.12\n")
    monkeypatch.setattr(environment, "FOLDER", tmp_path / ".venv")
    monkeypatch.setattr(environment, "REQUIREMENTS", tmp_path / "requirements.txt")
    monkeypatch.setattr(environment.venv, "create", lambda folder, **_: folder.mkdir(exist_ok=True))

    def run(command: list[str]) -> subprocess.CompletedProcess[str]:
        made.append(command)
        return subprocess.CompletedProcess(command, returncode=1 if "--broken" in command else 0)

    monkeypatch.setattr(environment.subprocess, "run", run)
    return made


def test_a_missing_environment_is_one_line_with_the_command(calls: list[list[str]]) -> None:
    with pytest.raises(UserError, match=r"not installed; run `python -m benchmarks\.peers\.environment`"):
        environment.peer_python()


def test_it_is_made_once_and_again_when_the_versions_change(
    calls: list[list[str]], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PIP_ARGS", "--extra-index-url 'a b'")
    environment.main()
    assert calls[0][-4:-2] == ["--extra-index-url", "a b"]
    count = len(calls)
    environment.main()
    assert len(calls) == count
    environment.REQUIREMENTS.write_text("fastai==2.8.13\n")
    with pytest.raises(UserError, match=r"holds other versions than requirements\.txt asks for"):
        environment.peer_python()
    environment.main()
    assert len(calls) == 2 * count
    assert environment.peer_python() == environment.FOLDER / "bin/python"


def test_an_environment_that_pip_could_not_fill_is_never_used(
    calls: list[list[str]], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PIP_ARGS", "--broken")
    with pytest.raises(UserError, match="pip failed"):
        environment.main()
    with pytest.raises(UserError, match="not installed"):
        environment.peer_python()


def test_every_peer_is_pinned_and_torch_carries_no_build_tag() -> None:
    lines = (environment.HERE / "requirements.txt").read_text().splitlines()
    pinned = dict(line.split("==") for line in lines if line and not line.startswith("#"))
    assert {"fastai", "transformers", "accelerate", "litgpt", "torch"} <= set(pinned)
    assert all(re.fullmatch(r"[0-9][0-9a-z.]*", version) for version in pinned.values())
