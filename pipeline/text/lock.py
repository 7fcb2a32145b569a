"""Installed distributions held against `requirements.lock`: other versions have other documentation."""

import re
from collections.abc import Iterable
from importlib.metadata import Distribution, distributions
from pathlib import Path

from pipeline.base.errors import UserError

LOCK = Path("requirements.lock")
REMEDY = "run `make install` (or `python -m pip install -r requirements.lock`)"


def locked_versions(lock: Path = LOCK) -> dict[str, str]:
    """Version by normalised name, from the lines `name==version` of a lock file.

    Extras, environment markers, hashes, comments and options are skipped, and so is a local part such as
    `+cpu`: the CPU and CUDA builds of one version have the same documentation.
    """
    try:
        text = lock.read_text(encoding="utf-8")
    except FileNotFoundError as error:
        raise UserError(f"{lock}: no such file; `path: embedded` reads the distributions that it pins") from error
    found = re.findall(r"^([A-Za-z0-9][\w.-]*)(?:\[[^\]]*\])?\s*==\s*([^\s;#\\+]+)", text, flags=re.MULTILINE)
    return {_normal(name): version for name, version in found}


def pinned(names: Iterable[str], lock: Path = LOCK, search: list[str] | None = None) -> list[Distribution]:
    """The installed distributions `names`, each in the version that the lock pins.

    `search` is a list of folders like `sys.path`, which is the default.
    """
    versions = locked_versions(lock)
    installed = {
        _normal(found.metadata["Name"]): found
        for found in (distributions() if search is None else distributions(path=search))
        if found.metadata["Name"]
    }
    chosen = []
    for name in names:
        if _normal(name) not in versions:
            raise UserError(f"{lock}: does not pin {name}, whose documentation is part of the embedded set; pin it")
        wanted = versions[_normal(name)]
        if _normal(name) not in installed:
            raise UserError(f"{name} is not installed and {lock} pins {wanted}; {REMEDY}")
        found = installed[_normal(name)]
        if found.version.split("+")[0] != wanted:
            raise UserError(f"{name} {found.version} is installed and {lock} pins {wanted}; {REMEDY}")
        chosen.append(found)
    return chosen


def _normal(name: str) -> str:
    """A distribution's name in the one form that all its spellings share (PEP 503)."""
    return re.sub(r"[-_.]+", "-", name).lower()
