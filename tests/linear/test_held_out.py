"""Linear models of all parts train side by side in processes, which end with the one that asked."""

import os
import signal
import subprocess
import sys
import time
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import psutil
import pytest

from pipeline.base.errors import UserError
from pipeline.linear.classifier import NgramClassifier
from pipeline.linear.held_out import held_out
from pipeline.linear.learners import Learners

SCRIPT = """
import numpy as np
from pipeline.base.process import run_stage
from pipeline.linear.held_out import held_out
from pipeline.linear.learners import Learners

def main():
    words = [f"word{number}" for number in range(500)]
    some = np.random.default_rng(1)
    texts = [" ".join(some.choice(words, 60)) for _ in range(16000)]
    rows = np.arange(len(texts))
    folds = [(rows[rows % 4 != part], rows[rows % 4 == part]) for part in range(4)]
    print("begins", flush=True)
    held_out(Learners(2, True), texts, rows % 2, folds, 4)
    print("has ended by itself", flush=True)

if __name__ == "__main__":
    run_stage(main)
"""


pytestmark = pytest.mark.slow


def begun(script: Path) -> tuple[subprocess.Popen[str], list[psutil.Process]]:
    """A process that has its helpers train, and these."""
    script.write_text(SCRIPT)
    # A shell that starts the tests in the background has them ignore the signal, and their children with them.
    hears = partial(signal.signal, signal.SIGINT, signal.SIG_DFL)
    process = subprocess.Popen(
        [sys.executable, str(script)],
        preexec_fn=hears,
        env=os.environ | {"PYTHONPATH": str(Path(__file__).parents[2])},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )
    assert process.stdout is not None
    assert process.stdout.readline() == "begins\n"
    helpers: list[psutil.Process] = []
    while not any(each.cpu_times().user > 2 for each in helpers):
        assert process.poll() is None, process.communicate()
        time.sleep(0.1)
        helpers = [each for each in psutil.Process(process.pid).children() if "popen_loky" in str(each.cmdline())]
    return process, helpers


def running(helpers: list[psutil.Process]) -> bool:
    return any(each.is_running() and each.status() != psutil.STATUS_ZOMBIE for each in helpers)


def test_helpers_change_no_bit() -> None:
    rows = np.arange(40)
    texts = [f"{['red', 'blue'][row % 2]} page {row % 5}" for row in rows]
    folds = [(rows[rows % 4 != part], rows[rows % 4 == part]) for part in range(4)]
    alone, shared = (held_out(Learners(2, True), texts, rows % 2, folds, processes) for processes in (1, 2))
    assert set(alone) == set(shared) == {"tfidf_lr", "nb_svm"}
    for name in alone:
        assert (alone[name].argmax(axis=1) == rows % 2).all()
        np.testing.assert_array_equal(alone[name], shared[name])


def test_helpers_start_without_torch() -> None:
    command = "import sys, pipeline.linear.held_out; assert 'torch' not in sys.modules"
    subprocess.run([sys.executable, "-c", command], check=True, cwd=Path(__file__).parents[2])


def test_ctrl_c_ends_all_of_them_with_one_line(tmp_path: Path) -> None:
    process, helpers = begun(tmp_path / "trains.py")
    os.killpg(process.pid, signal.SIGINT)
    out, errors = process.communicate(timeout=30)
    assert "has ended by itself" not in out
    assert "Traceback" not in errors, errors
    assert process.returncode == 130
    assert not running(helpers)


def test_one_that_is_killed_is_one_line(tmp_path: Path) -> None:
    process, helpers = begun(tmp_path / "trains.py")
    helpers[0].kill()
    errors = process.communicate(timeout=60)[1]
    assert "was killed, most likely for want of memory" in errors
    assert "Traceback" not in errors, errors
    assert process.returncode == 1
    assert not running(helpers)


class Greedy(Learners):
    """Learners of more classes than any memory holds."""

    def fit(self, *_: Any) -> dict[str, NgramClassifier]:
        np.zeros(2**55)
        return {}


@pytest.mark.parametrize(
    ("processes", "advice"), [(1, "leave them out with `ulmfit use blend=none`"), (2, "2 train side by side, fewer")]
)
def test_models_that_do_not_fit_into_memory_are_one_line(processes: int, advice: str) -> None:
    rows = np.arange(8)
    folds = [(rows[rows % 2 != part], rows[rows % 2 == part]) for part in range(2)]
    with pytest.raises(UserError, match=f"^linear models of 5,000 labels do not fit into memory; {advice}"):
        held_out(Greedy(5000, True), ["text"] * 8, rows % 2, folds, processes)


def test_they_end_when_the_one_that_asked_is_killed(tmp_path: Path) -> None:
    process, helpers = begun(tmp_path / "trains.py")
    process.kill()
    until = time.monotonic() + 60
    while running(helpers):
        assert time.monotonic() < until, "they train for nobody"
        time.sleep(0.2)
