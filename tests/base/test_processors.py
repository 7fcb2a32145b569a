"""Promise: threads follow OMP_NUM_THREADS, the process's affinity and a container's quota, whichever cgroups it has."""

import os
from pathlib import Path

import pytest

from pipeline.base import processors


@pytest.fixture(autouse=True)
def groups(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A machine of eight processors whose groups say nothing yet."""
    monkeypatch.delenv("OMP_NUM_THREADS", raising=False)
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: set(range(8)), raising=False)
    monkeypatch.setattr(processors, "CGROUP", tmp_path)
    (tmp_path / "cpu").mkdir()
    return tmp_path


def test_without_a_quota_it_is_the_affinity() -> None:
    assert processors.usable_processors() == 8


@pytest.mark.parametrize(("said", "usable"), [("max 100000", 8), ("250000 100000", 2), ("50000 100000", 1)])
def test_a_quota_of_the_second_version(groups: Path, said: str, usable: int) -> None:
    (groups / "cpu.max").write_text(f"{said}\n")
    assert processors.usable_processors() == usable


@pytest.mark.parametrize(("quota", "usable"), [("-1", 8), ("300000", 3)])
def test_a_quota_of_the_first_version(groups: Path, quota: str, usable: int) -> None:
    (groups / "cpu/cpu.cfs_quota_us").write_text(f"{quota}\n")
    (groups / "cpu/cpu.cfs_period_us").write_text("100000\n")
    assert processors.usable_processors() == usable


def test_what_the_user_says_counts(groups: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (groups / "cpu.max").write_text("100000 100000\n")
    monkeypatch.setenv("OMP_NUM_THREADS", "5")
    assert processors.usable_processors() == 5
