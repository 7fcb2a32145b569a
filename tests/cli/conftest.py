"""A repository for `ulmfit new-task`."""

from pathlib import Path

import pytest

from pipeline.cli import new_task
from tests.choices import write_choices


@pytest.fixture
def house(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A repository with choices that are in order, where `dvc add` does nothing."""
    write_choices(tmp_path)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(new_task, "_dvc_add", lambda folder: None)
    return tmp_path
