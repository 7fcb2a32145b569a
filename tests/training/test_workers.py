"""Promise: processes that read data start whatever way this Python starts processes by itself (3.14: forkserver)."""

import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[2]
PROGRAM = """
import multiprocessing

multiprocessing.set_start_method("forkserver")

from pipeline.config.hardware import HardwareConfig
from pipeline.training.place import Place
from tests.training.test_micro_batch import train, transformer

hardware = HardwareConfig(accelerator="cpu", threads=1, workers=1)
print(train(*transformer(None, []), micro_batch=4, place=Place(hardware, "fp32")).position.step)
"""


def test_workers_start_under_forkserver() -> None:
    done = subprocess.run([sys.executable, "-c", PROGRAM], cwd=ROOT, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout) == (0, "4\n"), done.stderr
