"""The processes of one run: who starts them, and how they end together.

Rank 0 starts the others of its machine itself, as copies of its own command. On a cluster `srun` or `torchrun` has
started them all, or rank 0's place is taken by an `srun` that this module calls. Whoever dies first is reported in one
line by rank 0, and no process outlives the others.
"""

import os
import signal
import socket
import subprocess
import sys
import threading
import time
from collections import deque
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from types import FrameType
from typing import NoReturn

from pipeline.base.errors import Stopped, UserError
from pipeline.training.place import Place

STARTED_HERE = "ULMFIT_STARTED_BY_RANK_0"
GRACE = 5.0  # seconds in which a process whose peer has died may come out of a collective by itself
WATCH_EVERY = 0.1  # seconds


@contextmanager
def processes(place: Place) -> Iterator[None]:
    """Around what a stage's processes do together: before it they are started, behind it none is left but this one."""
    if STARTED_HERE in os.environ:
        _end_with_rank_0()
        yield
    elif (world := started_by_cluster()) is not None:
        if world != place.processes:
            raise UserError(
                f"hardware: {world} processes were started, but the config says {place.devices} devices on each of "
                f"{place.hardware.nodes} nodes; let both numbers agree"
            )
        yield
    elif place.hardware.launcher == "srun":
        _run_under_srun(place)
    elif place.hardware.nodes > 1:
        raise UserError(
            f"hardware: `nodes: {place.hardware.nodes}`, but one process was started; start the stage on each machine "
            "with torchrun, or set `launcher: srun` (docs/cluster.md)"
        )
    elif place.processes == 1:
        yield
    else:
        with _Family(place.processes).together():
            yield


def started_by_cluster() -> int | None:
    """How many processes torchrun or srun has started; None where neither has."""
    if "TORCHELASTIC_RUN_ID" in os.environ:
        return int(os.environ["WORLD_SIZE"])
    if "SLURM_STEP_ID" in os.environ and "SLURM_PROCID" in os.environ:
        return int(os.environ["SLURM_NTASKS"])
    return None


def _run_under_srun(place: Place) -> NoReturn:
    """Do all of this stage's work in the tasks of a job step, and end as it ends."""
    # Not `--ntasks`, which Lightning refuses.
    words = [f"--nodes={place.hardware.nodes}", f"--ntasks-per-node={place.devices}", "--kill-on-bad-exit=1"]
    words.append("--disable-status")  # with it srun hands the first SIGINT on to the tasks
    if cores := os.environ.get("SLURM_CPUS_PER_TASK"):  # the job's, which srun itself has not read since SLURM 22.05
        words.append(f"--cpus-per-task={cores}")
    try:
        # In a process group of its own: signals reach it through `pass_on` alone.
        step = subprocess.Popen(["srun", *words, *_own_command()], stdin=subprocess.DEVNULL, process_group=0)
    except FileNotFoundError as error:
        raise UserError(
            "hardware: `launcher: srun`, but there is no `srun` here; run inside a SLURM job (docs/cluster.md)"
        ) from error

    asked: list[int] = []

    def pass_on(number: int, _: FrameType | None) -> None:
        # Whatever has come: on SIGTERM srun kills the tasks at once, and so it does on a second SIGINT within a second.
        if not asked or number == signal.SIGINT:
            step.send_signal(signal.SIGINT)
        asked.append(number)

    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, pass_on)
    sys.exit(step.wait())


class _Family:
    """Rank 0 and the processes that it has started."""

    def __init__(self, count: int) -> None:
        self.count = count
        self.others: dict[int, subprocess.Popen[str]] = {}
        # The last lines that each of them wrote to stderr.
        self.said: dict[int, deque[str]] = {}
        self.readers: list[threading.Thread] = []
        self.over = threading.Event()

    @contextmanager
    def together(self) -> Iterator[None]:
        """Start the others; when the block ends, wait for them or, after an error, end them."""
        self._start()
        threading.Thread(target=self._watch, name="watch the other processes", daemon=True).start()
        try:
            yield
            for other in self.others.values():
                other.wait()
        except (UserError, Stopped, KeyboardInterrupt):
            raise
        except Exception as error:  # a broken connection, if the cause is another's death
            if (reason := self._first_death(GRACE)) is None:
                raise
            raise UserError(reason) from error
        finally:
            self.over.set()
            self._end()

    def _start(self) -> None:
        common = {"MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(_free_port()), "WORLD_SIZE": str(self.count)}
        # Lightning starts no processes where it finds a LOCAL_RANK.
        os.environ.update({**common, "NODE_RANK": "0", "LOCAL_RANK": "0"})
        for rank in range(1, self.count):
            self.others[rank] = subprocess.Popen(
                _own_command(),
                env={**os.environ, "LOCAL_RANK": str(rank), STARTED_HERE: "1"},
                stdin=subprocess.PIPE,  # its end is how they learn of ours
                stdout=subprocess.DEVNULL,
                stderr=subprocess.PIPE,
                text=True,
                errors="replace",
            )
            self.said[rank] = deque(maxlen=50)
            reader = threading.Thread(target=self._listen, args=(rank,), daemon=True)
            reader.start()
            self.readers.append(reader)

    def _listen(self, rank: int) -> None:
        stderr = self.others[rank].stderr
        assert stderr is not None
        with suppress(ValueError):  # closed while it was read
            self.said[rank].extend(line for line in stderr if line.strip())

    def _watch(self) -> None:
        """End this process when another has died and this one hangs in a collective that will never complete."""
        while not self.over.wait(WATCH_EVERY):
            if (reason := self._first_death()) is not None:
                if not self.over.wait(2 * GRACE):
                    print(f"error: {reason}", file=sys.stderr, flush=True)
                    self._end()
                    os._exit(1)
                return

    def _first_death(self, patience: float = 0.0) -> str | None:
        """Which process has died and why, waiting `patience` seconds for it; None if none has."""
        deadline = time.monotonic() + patience
        while True:
            for rank, other in self.others.items():
                if other.poll():
                    return self._obituary(rank, other.returncode)
            if time.monotonic() >= deadline:
                return None
            time.sleep(WATCH_EVERY)

    def _obituary(self, rank: int, code: int) -> str:
        self.readers[rank - 1].join(timeout=1.0)
        lines = list(self.said[rank])
        if mistakes := [line for line in lines if line.startswith("error: ")]:
            return f"process {rank + 1} of {self.count}: {mistakes[-1].removeprefix('error: ').strip()}"
        how = f"was ended by {signal.Signals(-code).name}" if code < 0 else f"ended with exit code {code}"
        last = f" ({lines[-1].strip()})" if lines and code > 0 else ""
        again = "the last checkpoint is kept, run the same command again to go on from it"
        return f"process {rank + 1} of {self.count} {how}{last}; {again}"

    def _end(self) -> None:
        for other in self.others.values():
            other.kill()
            other.wait()


def _own_command() -> list[str]:
    return [sys.executable, *sys.orig_argv[1:]]


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def _end_with_rank_0() -> None:
    """End this process when the one that started it ends: its end of the pipe closes."""

    def wait() -> None:
        while os.read(0, 1):
            pass
        os.kill(os.getpid(), signal.SIGKILL if hasattr(signal, "SIGKILL") else signal.SIGTERM)

    threading.Thread(target=wait, name="end with rank 0", daemon=True).start()
