"""The environment of the neural peers: made by one command, apart from the pipeline's own, at pinned versions.

litgpt holds numpy below 2 and fastai brings spaCy, so the peers live in benchmarks/peers/.venv and the pipeline's
environment never sees them. PIP_ARGS in the surroundings is given to pip, as `make run PIP_ARGS=...` does.

    python -m benchmarks.peers.environment
    PIP_ARGS="--extra-index-url <index of CPU builds>" python -m benchmarks.peers.environment
"""

import argparse
import os
import shlex
import subprocess
import sys
import venv
from pathlib import Path

from pipeline.base.errors import UserError
from pipeline.base.files import sha256, write_text
from pipeline.base.process import with_one_line_errors

HERE = Path(__file__).resolve().parent
FOLDER = HERE / ".venv"
REQUIREMENTS = HERE / "requirements.txt"
COMMAND = "python -m benchmarks.peers.environment"


def peer_python() -> Path:
    """The Python that has the peers.

    Raises:
        UserError: the environment is not there, or is of other versions than requirements.txt now asks for.
    """
    if not _installed().is_file():
        raise UserError(f"{FOLDER}: the peers are not installed; run `{COMMAND}`")
    if _installed().read_text(encoding="utf-8") != sha256(REQUIREMENTS):
        raise UserError(f"{FOLDER}: holds other versions than {REQUIREMENTS.name} asks for; run `{COMMAND}`")
    return FOLDER / "bin/python"


def make(pip_args: str) -> None:
    """Make the environment anew and install the peers; its marker is written last, so a broken one is never used.

    Raises:
        UserError: pip could not install them; its own words stand above.
    """
    print(f"making {FOLDER} (about 2 GB)", flush=True)
    venv.create(FOLDER, clear=True, with_pip=True)
    _pip("install", *shlex.split(pip_args), "--requirement", str(REQUIREMENTS))
    # fastai asks for it, for pictures only. PyPI's build breaks the import of transformers beside a CPU build of torch.
    _pip("uninstall", "--yes", "--quiet", "torchvision")
    write_text(_installed(), sha256(REQUIREMENTS))


def _installed() -> Path:
    """The marker: it holds the digest of the requirements that were installed."""
    return FOLDER / "installed"


def _pip(*words: str) -> None:
    command = [str(FOLDER / "bin/python"), "-m", "pip", "--disable-pip-version-check", *words]
    if subprocess.run(command).returncode:
        raise UserError(f"{FOLDER}: pip failed (its lines are above); mend the cause and run `{COMMAND}` again")


def main(*words: str) -> None:
    """Make the environment if it is missing or out of date, and print its Python."""
    argparse.ArgumentParser(COMMAND, description=__doc__).parse_args(words)
    try:
        python = peer_python()
    except UserError:
        make(os.environ.get("PIP_ARGS", ""))
        python = peer_python()
    print(python)


if __name__ == "__main__":
    with_one_line_errors(main, *sys.argv[1:])
