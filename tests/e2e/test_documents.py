"""Promise: every command in docs/tutorial.md does what it says, in a fresh clone, in its order."""

import re
import subprocess
from pathlib import Path

import pytest

from tests.e2e.clones import clone, environment
from tests.workspace import REPOSITORY

pytestmark = [pytest.mark.slow, pytest.mark.timeout(900)]

TUTORIAL = (REPOSITORY / "docs/tutorial.md").read_text(encoding="utf-8")
README = (REPOSITORY / "README.md").read_text(encoding="utf-8")


def blocks(text: str, language: str) -> list[str]:
    """Fenced blocks of one language."""
    return re.findall(rf"^```{language}\n(.*?)^```", text, flags=re.MULTILINE | re.DOTALL)


def test_the_tutorial_runs_from_the_first_command_to_the_last(tmp_path: Path) -> None:
    folder = clone(tmp_path / "clone")
    shell = blocks(TUTORIAL, "sh")
    assert len(shell) >= 5
    for block in shell:
        done = subprocess.run(
            ["bash", "-euo", "pipefail", "-c", block],
            cwd=folder,
            env=environment(folder),
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == 0, f"{block}\n{done.stdout}\n{done.stderr}"
    labelled = (folder / "labelled.csv").read_text(encoding="utf-8").splitlines()
    assert labelled[0].endswith("label,probability") or "probability" in labelled[0]
    assert len(labelled) > 100
    for program in blocks(TUTORIAL, "python"):
        subprocess.run(
            ["python", "-c", program], cwd=folder, env=environment(folder), check=True, capture_output=True, text=True
        )


def test_every_path_and_command_that_the_readme_names_exists() -> None:
    for path in re.findall(r"\]\(([\w./-]+)\)", README):
        assert (REPOSITORY / path).exists(), path
    from pipeline.cli.main import COMMANDS

    for command in re.findall(r"^ulmfit ([\w-]+)", README, flags=re.MULTILINE):
        assert command in COMMANDS
    for choice in re.findall(r"`ulmfit use (\w+)`", README):
        assert (REPOSITORY / "configs/presets" / f"{choice}.yaml").exists(), choice
