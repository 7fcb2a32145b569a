"""Exact resume: the state of a run, written whole, in a folder named by what the run depends on.

DVC deletes a stage's outs before the stage runs again, so the state lives outside them, in `.resume/` (ignored by
git and DVC). The folder's name is a digest of config, inputs and code: a changed run never picks up a stale state.
A Lightning checkpoint would hold absolute paths and much that a resume does not need; this holds tensors and numbers.
"""

import errno
import hashlib
import os
import shutil
import sys
from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path
from types import TracebackType
from typing import IO, Any, Self

import torch
from torch import nn

from pipeline.base.errors import UserError
from pipeline.base.files import digest, disk_errors, sha256, write_text

FOLDER = Path(".resume")
MICRO_BATCH = "micro_batch"
HELD = (errno.EAGAIN, errno.EWOULDBLOCK, errno.EACCES)  # what a lock says that another process has
KEPT = 2  # states kept: the newest, and one before it


def code_digest() -> str:
    """Digest of our own modules that are loaded: call it when a stage has imported all it needs."""
    files = {
        str(module.__file__)
        for name, module in sorted(sys.modules.items())
        if name.split(".")[0] in ("pipeline", "stages", "__main__") and getattr(module, "__file__", None)
    }
    ours = sorted((Path(file).name, sha256(file)) for file in files if Path(file).suffix == ".py")
    return digest(f"{name} {content}" for name, content in ours)


def weights_digest(network: nn.Module) -> str:
    """Digest of a network's weights, by name and bytes."""
    whole = hashlib.sha256()
    for name, tensor in network.state_dict().items():
        whole.update(name.encode())
        whole.update(tensor.detach().cpu().contiguous().view(torch.uint8).numpy().tobytes() if tensor.dim() else b"")
    return whole.hexdigest()


class ResumeFolder:
    """Holds the state of one run and a lock on it while the run lasts (context manager).

    Every process of a run opens it; only the first (`rank` 0) locks and writes.
    """

    def __init__(self, stage: str, parts: Iterable[str], rank: int = 0, root: Path = FOLDER) -> None:
        self.path = root / f"{stage.replace('/', '-')}-{digest([torch.__version__, code_digest(), *parts])[:16]}"
        self.rank = rank
        self._lock: IO[str] | None = None

    def __enter__(self) -> Self:
        if self.rank == 0:
            with disk_errors(self.path):
                self.path.mkdir(parents=True, exist_ok=True)
            self._lock = _locked(self.path / "lock")
            for partial in self.path.glob("*.partial"):
                partial.unlink()  # a run was killed while it wrote
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._lock is not None:
            self._lock.close()

    def save(self, phase: int, step: int, state: dict[str, Any]) -> None:
        """Write the state after `step` steps of `phase`: whole or not at all."""
        if self.rank:
            return
        path = self.path / f"state-{phase:03d}-{step:09d}.pt"
        partial = path.with_suffix(".partial")
        with disk_errors(path):
            try:
                with partial.open("wb") as file:
                    torch.save({"phase": phase, "step": step, **state}, file)
                    file.flush()
                    os.fsync(file.fileno())
            except RuntimeError as error:  # torch's writer hides the OSError of a full disk
                raise OSError(28, "No space left on device") if _disk_is_full(self.path) else error from error
            finally:
                if sys.exc_info()[0] is not None:
                    partial.unlink(missing_ok=True)
            partial.replace(path)
        for old in self._states()[:-KEPT]:
            old.unlink()

    def load(self) -> dict[str, Any] | None:
        """The newest state that can be read, or None for a fresh run."""
        for path in reversed(self._states()):
            with suppress(Exception):  # of half a dozen kinds, by where in the file the damage is
                return torch.load(path, map_location="cpu", weights_only=True)
            print(f"  {path}: cannot be read, going back to the state before it", file=sys.stderr)
        return None

    def write_micro_batch(self, micro_batch: int) -> None:
        """Keep what fits into memory, found in the middle of a step, for the next start; any process may call it."""
        write_text(self.path / MICRO_BATCH, f"{micro_batch}\n")

    def micro_batch(self) -> int | None:
        """What `write_micro_batch` has kept."""
        path = self.path / MICRO_BATCH
        return int(path.read_text(encoding="utf-8")) if path.is_file() else None

    def finish(self) -> None:
        """Remove the folder: the stage's outs are written."""
        if self.rank == 0:
            shutil.rmtree(self.path, ignore_errors=True)
            with suppress(OSError):
                self.path.parent.rmdir()

    def _states(self) -> list[Path]:
        return sorted(self.path.glob("state-*.pt"))


def _disk_is_full(path: Path) -> bool:
    return shutil.disk_usage(path).free < 64 * 2**20


def _locked(path: Path) -> IO[str]:
    """Take the lock of a resume folder; the system lets it go when the process ends, however it ends.

    Where the file system has no locks, the run goes on without one and says so.
    """
    file = path.open("a+", encoding="utf-8")
    try:
        import fcntl

        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except ImportError:
        return file  # no advisory locks on this system (Windows)
    except OSError as error:
        if error.errno not in HELD:  # Lustre mounted without `flock`, NFS without its lock service
            print(
                f"  {path.parent}: this file system has no locks ({error.strerror}); "
                "see to it that nothing else runs the same stage",
                file=sys.stderr,
            )
            return file
        file.seek(0)
        holder = file.read().strip() or "another process"
        raise UserError(
            f"{path.parent}: this stage is already running as process {holder}; wait for it, or stop it and run again"
        ) from error
    file.truncate(0)
    file.write(str(os.getpid()))
    file.flush()
    return file
