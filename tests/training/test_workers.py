"""Promises: processes that read ahead start whatever way this Python starts processes by itself (3.14: forkserver);
what goes wrong in them is one line."""

import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from pipeline.base.errors import UserError
from pipeline.config.hardware import HardwareConfig
from pipeline.training.place import Place
from pipeline.training.reading import Reader, Steps
from tests.training import test_micro_batch
from tests.training.test_micro_batch import train, transformer

ROOT = Path(__file__).parents[2]
PROGRAM = """
import multiprocessing

multiprocessing.set_start_method("forkserver")

from tests.training.test_micro_batch import train, transformer
from tests.training.test_workers import ONE_READS

print(train(*transformer(None, []), micro_batch=4, place=ONE_READS).position.step)
"""
ONE_READS = Place(HardwareConfig(accelerator="cpu", threads=1, workers=1), "fp32")


def test_workers_start_under_forkserver() -> None:
    done = subprocess.run([sys.executable, "-c", PROGRAM], cwd=ROOT, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout) == (0, "4\n"), done.stderr


@pytest.mark.parametrize("workers", [0, 2])
def test_a_users_error_keeps_its_line(workers: int) -> None:
    def share(step: int) -> dict[str, Any]:
        if step == 2:
            raise UserError("tokens.bin: is damaged")
        return {"step": step}

    place = Place(HardwareConfig(accelerator="cpu", threads=1, workers=workers), "fp32")
    reader = iter(Reader(Steps(share, 1, 9), place))
    assert next(reader) == {"step": 1}
    with pytest.raises(UserError, match=r"^tokens\.bin: is damaged$"):
        next(reader)


def test_a_reader_that_is_killed_is_one_line(monkeypatch: pytest.MonkeyPatch) -> None:
    def share(_phase: int, _step: int, _rank: int, _world: int) -> dict[str, Any]:
        os.kill(os.getpid(), signal.SIGKILL)
        return {}

    monkeypatch.setattr(test_micro_batch, "share", share)
    with pytest.raises(UserError, match="a process that reads ahead was killed, for want of memory perhaps"):
        train(*transformer(None, []), micro_batch=4, place=ONE_READS)
