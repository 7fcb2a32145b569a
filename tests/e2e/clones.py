"""Clones of the repository, with the changes at hand, as a user has them."""

import os
import subprocess
import sys
from pathlib import Path

from tests.workspace import REPOSITORY

BIN = Path(sys.executable).parent


def environment(folder: Path) -> dict[str, str]:
    """What `make` gives to DVC, for this clone: the environment's programs first, and the clone's own code."""
    path = f"{BIN}{os.pathsep}{os.environ['PATH']}"
    return {**os.environ, "PATH": path, "PYTHONPATH": str(folder), "OMP_NUM_THREADS": "1"}


def call(folder: Path, *words: str, check: bool = True) -> subprocess.CompletedProcess[str]:
    """Run a command in the clone."""
    done = subprocess.run(words, cwd=folder, env=environment(folder), capture_output=True, text=True, check=False)
    if check and done.returncode:
        raise AssertionError(f"{' '.join(words)} ended with {done.returncode}:\n{done.stdout}\n{done.stderr}")
    return done


def clone(folder: Path) -> Path:
    """What a user gets: the tracked files, with the changes at hand, as a fresh repository."""
    call(REPOSITORY, "git", "clone", "--quiet", "--no-hardlinks", str(REPOSITORY), str(folder))
    tracked = call(REPOSITORY, "git", "diff", "--binary", "HEAD").stdout
    if tracked.strip():
        subprocess.run(["git", "apply"], cwd=folder, input=tracked, text=True, check=True)
    call(folder, "git", "config", "user.name", "test")
    call(folder, "git", "config", "user.email", "test@example.org")
    call(folder, "ulmfit", "use", "tiny")
    call(folder, "git", "commit", "--quiet", "--all", "--message", "tiny")
    return folder
