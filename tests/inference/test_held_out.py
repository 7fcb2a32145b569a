"""Linear models of all parts train side by side in processes, which end with the one that asked."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import psutil
import pytest

from pipeline.training.environment import usable_processors

SCRIPT = """
import numpy as np
from pipeline.base.process import run_stage
from pipeline.inference.held_out import HeldOut
from pipeline.linear.learners import Learners

def main():
    words = [f"word{number}" for number in range(500)]
    some = np.random.default_rng(1)
    texts = [" ".join(some.choice(words, 60)) for _ in range(4000)]
    rows = np.arange(len(texts))
    folds = [(rows[rows % 4 != part], rows[rows % 4 == part]) for part in range(4)]
    print("begins", flush=True)
    HeldOut(None, None, texts, folds).of_linear(Learners(2, True), rows % 2)
    print("has ended by itself", flush=True)

if __name__ == "__main__":
    run_stage(main)
"""


@pytest.mark.slow
@pytest.mark.skipif(usable_processors() == 1, reason="one processor trains without helpers")
def test_ctrl_c_ends_all_of_them_with_one_line(tmp_path: Path) -> None:
    script = tmp_path / "trains.py"
    script.write_text(SCRIPT)
    root = str(Path(__file__).parents[2])
    process = subprocess.Popen(
        [sys.executable, str(script)],
        env=os.environ | {"PYTHONPATH": root},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )
    assert process.stdout is not None
    assert process.stdout.readline() == "begins\n"
    helpers: list[psutil.Process] = []
    # Whether it still imports or trains already by then, it must not say a word; parts that are begun are ended first.
    while not any(each.cpu_times().user > 2 for each in helpers):
        assert process.poll() is None, process.communicate()
        time.sleep(0.1)
        helpers = [each for each in psutil.Process(process.pid).children() if "spawn_main" in str(each.cmdline())]
    os.killpg(process.pid, signal.SIGINT)
    out, errors = process.communicate(timeout=90)
    assert "has ended by itself" not in out
    assert "Traceback" not in errors, errors
    assert process.returncode != 0
    assert not [each for each in helpers if each.is_running() and each.status() != psutil.STATUS_ZOMBIE]
