"""What a process reads in each step of a phase, by itself or by processes of its own that read ahead."""

import signal
from collections.abc import Callable, Iterator
from typing import Any

from torch.utils.data import DataLoader, Dataset

from pipeline.base.errors import UserError
from pipeline.training.place import Place

KILLED = "DataLoader worker"  # how torch begins its RuntimeError


class Steps(Dataset[dict[str, Any] | UserError]):
    """Item k is this process's share of step `start + k`: what a `DataLoader` walks through, in order."""

    def __init__(self, share: Callable[[int], dict[str, Any]], start: int, stop: int) -> None:
        self.share, self.start, self.stop = share, start, stop

    def __len__(self) -> int:
        return self.stop - self.start

    def __getitem__(self, index: int) -> dict[str, Any] | UserError:
        try:
            return self.share(self.start + index)
        except UserError as error:  # raised in a worker it would arrive with a traceback for its text
            return error


class Reader(DataLoader[Any]):
    """The shares of a phase, one after the other."""

    def __init__(self, steps: Steps, place: Place) -> None:
        workers = place.hardware.workers
        super().__init__(
            steps,
            batch_size=None,
            num_workers=workers,
            pin_memory=place.device == "cuda",
            # The workers share the corpus with this process; Python 3.14 would send them a copy of everything.
            multiprocessing_context="fork" if workers else None,
            worker_init_fn=_outlive_signals if workers else None,
        )

    def __iter__(self) -> Iterator[dict[str, Any]]:  # type: ignore[override]
        for share in super().__iter__():
            if isinstance(share, UserError):
                raise share
            yield share


def killed(error: RuntimeError) -> UserError | None:
    """What to say of a process that read ahead and is gone; None for any other error."""
    if not str(error).startswith(KILLED):
        return None
    return UserError(
        "a process that reads ahead was killed, for want of memory perhaps; run the same command again, it goes on "
        "from its last checkpoint (`workers: 0` in configs/hardware/ does without such processes)"
    )


def _outlive_signals(_: int) -> None:
    """A terminal and a cluster signal all processes of a run at once: who trains saves the step, and ends these."""
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, signal.SIG_IGN)
