"""The side of a contestant: a process that works when it is its turn and waits while others work.

Nothing that needs a package, because peers run it in an environment of their own.
"""

import json
import os
import sys
import time
from collections.abc import Callable
from importlib.metadata import version
from typing import Any

from pipeline.base.memory import peak_resident_mb


class Turns:
    """Waits for lines on standard input, one a turn, and answers each with a line of JSON on standard output.

    What libraries print goes to standard error. At the end of the input the process ends.
    """

    def __init__(self, *packages: str) -> None:
        """`packages`: names of distributions whose versions stand beside the numbers."""
        self._answers = os.fdopen(os.dup(1), "w", buffering=1)
        os.dup2(2, 1)
        self._versions = {name: version(name) for name in packages}
        self._started = 0.0

    def wait(self) -> None:
        """Return when it is this process's turn."""
        if not sys.stdin.readline():
            os._exit(0)  # the measurement is over, wherever a training loop stands
        self._started = time.perf_counter()

    def report(self, amount: float, seconds: float | None = None, **more: Any) -> None:
        """End the turn: `amount` of work was done since `wait` returned, or in `seconds`."""
        answer = {
            "amount": amount,
            "seconds": seconds or time.perf_counter() - self._started,
            "peak_mb": peak_resident_mb(),
            "versions": self._versions,
            **more,
        }
        print(json.dumps(answer), file=self._answers, flush=True)

    def serve(self, work: Callable[[], float]) -> None:
        """Do `work`, which returns its amount, once a turn."""
        while True:
            self.wait()
            self.report(work())


class StepTurns:
    """Cuts an endless training loop into turns: called before each step, it returns when the step may be taken."""

    def __init__(self, turns: Turns, steps: int, amount: float) -> None:
        """`steps` a turn; `amount` of work a step."""
        self.turns, self.steps, self.amount, self.taken = turns, steps, amount, 0

    def __call__(self) -> None:
        """Report a turn that is over, and wait for the next."""
        if self.taken % self.steps == 0:
            if self.taken:
                self.turns.report(self.steps * self.amount)
            self.turns.wait()
        self.taken += 1
