"""Promise: a stage that another python is asked to run says so in one line."""

import subprocess
import sys

from tests.source import ROOT


def test_a_python_without_the_packages_is_named() -> None:
    """DVC runs the `python` of the PATH: the system's, where `.venv/bin/dvc` is called and nothing is activated."""
    bare = [sys.executable, "-S", "-m", "stages.check"]  # -S: without the environment's packages
    done = subprocess.run(bare, cwd=ROOT, capture_output=True, text=True, check=False, timeout=60)
    assert done.returncode == 1
    assert done.stderr.count("\n") == 1
    assert "source .venv/bin/activate" in done.stderr
    assert sys.executable in done.stderr
