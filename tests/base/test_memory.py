"""Promise: a process's peak of memory is its own."""

import subprocess
import sys

import numpy as np

from pipeline.base.memory import peak_resident_mb

ASKS = "from pipeline.base.memory import peak_resident_mb; print(peak_resident_mb())"


def test_a_process_does_not_inherit_the_peak_of_the_one_that_started_it() -> None:
    held = np.ones(50_000_000)  # 400 MB
    assert peak_resident_mb() > held.nbytes / 1e6
    asked = subprocess.run([sys.executable, "-c", ASKS], capture_output=True, text=True, check=True)
    assert 1 < float(asked.stdout) < 100


def test_what_was_given_back_still_counts() -> None:
    held = np.ones(75_000_000)
    most = held.nbytes / 1e6
    del held
    assert peak_resident_mb() > most
