"""Being asked to stop, by a cluster (SIGTERM) or a person (Ctrl-C): all processes of a run agree on the step."""

import signal
import threading
from types import FrameType

import torch
import torch.distributed as dist
from torch import Tensor


class StopRequest:
    """Notices the signals; `agreed` says, on every process after the same step, that one of them has come."""

    def __init__(self, world: int) -> None:
        self.world = world
        self.number = 0
        # Numbers on the CPU, so that no step waits for a GPU. gloo's own group does it where it is at hand.
        own = world > 1 and dist.get_backend() != "gloo"
        self.group = dist.new_group(backend="gloo") if own else None
        self.pending: tuple[Tensor, dist.Work] | None = None

    def listen(self) -> None:
        """Take the place of the handlers there are; Lightning puts those back when its `fit` ends."""
        if threading.current_thread() is threading.main_thread():
            for number in (signal.SIGTERM, signal.SIGINT):
                signal.signal(number, self._notice)

    def agreed(self) -> bool:
        """Whether to stop after this step; several processes know it one step late, and so never wait for it."""
        if self.world == 1:
            return self.number > 0
        before, flag = self.pending, torch.tensor([self.number])
        work = dist.all_reduce(flag, dist.ReduceOp.MAX, group=self.group, async_op=True)
        assert work is not None
        self.pending = flag, work
        if before is None:
            return False
        before[1].wait()
        return bool(before[0])

    def finish(self) -> bool:
        """Leave no collective behind; whether one of the signals has come by the last step.

        One process knows of those too that came after it.
        """
        if self.world == 1:
            return self.number > 0
        if self.pending is None:
            return False
        self.pending[1].wait()
        return bool(self.pending[0])

    def _notice(self, number: int, _: FrameType | None) -> None:
        if self.number and number == signal.SIGINT:  # asked twice: at once
            raise KeyboardInterrupt
        self.number = number
