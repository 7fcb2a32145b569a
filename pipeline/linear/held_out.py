"""What each linear model says of documents that it has not seen, by training on the others, in processes side by side.

The processes import this module and what it imports, so nothing here imports torch.
"""

import os
import signal
import threading
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import BrokenExecutor
from contextlib import contextmanager

import numpy as np
from joblib import Parallel, delayed

from pipeline.base.errors import UserError
from pipeline.base.progress import track
from pipeline.linear.em_naive_bayes import Guess
from pipeline.linear.learners import Learners

Folds = Sequence[tuple[np.ndarray, np.ndarray]]


def held_out(
    learners: Learners,
    texts: list[str],
    labels: np.ndarray,
    folds: Folds,
    processes: int,
    guesses: Sequence[Guess] | None = None,
) -> dict[str, np.ndarray]:
    """Probabilities (N, C) of the texts by each linear model, by its name.

    Args:
        labels: (N,) class indices, or (N, C) booleans where a document may carry several labels.
        folds: rows to train on and rows held out; each row is held out once.
        processes: that train side by side.
        guesses: for each fold, those of a teacher that has seen no more labels than the fold.
    """
    begins: Sequence[Guess | None] = guesses or [None] * len(folds)
    wanted = [(names, *fold, begin) for names in learners.groups for fold, begin in zip(folds, begins, strict=True)]
    found = {name: np.zeros((len(texts), learners.classes)) for name in learners.names}
    processes = min(processes, len(wanted))
    side_by_side = Parallel(
        processes,
        return_as="generator",
        batch_size=1,
        pre_dispatch="all",
        max_nbytes=None,
        initializer=_end_with,
        initargs=(os.getpid(),),
    )
    with _deaf_to_ctrl_c():
        answers = side_by_side(delayed(_of_part)(learners, texts, labels, *part) for part in wanted)
    try:
        for (_, _, held_N, _), said in zip(wanted, track(answers, "linear models", len(wanted)), strict=True):
            for name, part_NC in said.items():
                found[name][held_N] = part_NC
    except BrokenExecutor as error:
        raise _too_much(
            "a process that trains linear models was killed, most likely for want of memory", processes
        ) from error
    except MemoryError as error:
        raise _too_much(f"linear models of {learners.classes:,} labels do not fit into memory", processes) from error
    return found


def _too_much(what: str, processes: int) -> UserError:
    if processes == 1:
        return UserError(f"{what}; leave them out with `ulmfit use blend=none`")
    return UserError(f"{what}; {processes} train side by side, fewer with OMP_NUM_THREADS={max(1, processes // 2)}")


def _of_part(
    learners: Learners,
    texts: list[str],
    labels: np.ndarray,
    names: Sequence[str],
    train_N: np.ndarray,
    held_N: np.ndarray,
    guess: Guess | None,
) -> dict[str, np.ndarray]:
    held = [texts[row] for row in held_N]
    fitted = learners.fit(names, [texts[row] for row in train_N], labels[train_N], held, guess)
    return {name: one.predict_proba(held) for name, one in fitted.items()}


@contextmanager
def _deaf_to_ctrl_c() -> Iterator[None]:
    """For the start of processes, which inherit it: Ctrl-C reaches them as well, and this one has the word."""
    before = signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, before)


def _end_with(parent: int) -> None:
    """Have this process end with the one that asks, which may be killed, not minutes later."""

    def watch() -> None:
        while os.getppid() == parent:
            time.sleep(1)
        os._exit(1)

    threading.Thread(target=watch, daemon=True).start()
