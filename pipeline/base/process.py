"""The process of a stage: how its memory is kept, errors in one line, an end with its parent."""

import ctypes
import os
import re
import signal
import sys
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from types import ModuleType

from pipeline.base.errors import Stopped, UserError

# glibc gives large blocks back to the kernel after each use and takes them again with page faults; training then
# spends a quarter of its time there. The thresholds keep them (x1.3-1.4 tokens/s).
ALLOCATOR = {
    "MALLOC_MMAP_THRESHOLD_": "2147483647",
    "MALLOC_TRIM_THRESHOLD_": "2147483647",
    "MALLOC_TOP_PAD_": "268435456",
}
MALLOPT = {"MALLOC_MMAP_THRESHOLD_": -3, "MALLOC_TRIM_THRESHOLD_": -1, "MALLOC_TOP_PAD_": -2}  # malloc.h
# oneDNN keeps what it has compiled for the last 1,024 products, each of one shape, with the memory that they work in.
# Batches of documents have as many shapes as widths: 2.7 GB after 200 steps, 2.1 with this, in the same time.
PRODUCTS_KEPT = ("ONEDNN_PRIMITIVE_CACHE_CAPACITY", "64")
# How often a thread of libgomp looks for its next work before it sleeps: 300,000 times unless told. Where another
# process needs a core, the thread that all wait for does not get it: beside one, a step took 20 times as long.
LOOKS = ("GOMP_SPINCOUNT", "20000")
WATCH_EVERY = 1.0  # seconds
LAST_STEP = 60.0  # seconds that a stage has for finishing its step and keeping its state when its parent is gone


def keep_memory() -> None:
    """Set the allocator's thresholds, where nobody has set one, here and for processes that this one starts (glibc)."""
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None) if sys.platform == "linux" else None
    if mallopt is None or any(name in os.environ for name in ALLOCATOR):
        return
    for name, value in ALLOCATOR.items():
        mallopt(MALLOPT[name], int(value))
    os.environ.update(ALLOCATOR)


def share_cores() -> None:
    """Let threads that wait leave their cores to other processes; before torch is imported, which reads it once."""
    os.environ.setdefault(*LOOKS)


def spare_torchmetrics() -> None:
    """Put an empty module in the place of torchmetrics, before Lightning imports it.

    Lightning asks of each value that a module logs whether it is a `Metric`, and ours log none; torchmetrics would
    bring SciPy, Matplotlib and transformers with it, two thirds of the time in which a training stage starts. For a
    process that is ours alone: in a user's, Lightning has to know their metrics.
    """
    stand_in = ModuleType("torchmetrics")
    stand_in.Metric = stand_in.MetricCollection = type("Metric", (), {})  # type: ignore[attr-defined]
    sys.modules.setdefault("torchmetrics", stand_in)


def run_stage(main: Callable[..., None], *, trains: bool = False) -> None:
    """Run a stage's `main` with the words of the command line; a `UserError` becomes one line and exit code 1.

    `trains`: the stage multiplies large matrices, so it wants `keep_memory`, and few of oneDNN's products.
    """
    if trains:
        keep_memory()
        os.environ.setdefault(*PRODUCTS_KEPT)
    _announce()
    _end_with_parent()
    signal.signal(signal.SIGTERM, signal.default_int_handler)  # what a cluster sends; training takes its place
    with_one_line_errors(main, *sys.argv[1:])


def with_one_line_errors(main: Callable[..., None], *words: str) -> None:
    """Call `main`; print what a user can act on as one line and leave with exit code 1."""
    try:
        main(*words)
    except UserError as error:
        if os.environ.get("ULMFIT_DEBUG") == "1":
            raise
        print(f"error: {error}", file=sys.stderr)
        sys.exit(1)
    except Stopped as stopped:
        print(stopped, file=sys.stderr)
        sys.exit(1)
    except KeyboardInterrupt:
        print("stopped; run the same command again to go on from the last checkpoint", file=sys.stderr)
        sys.exit(130)


def _announce() -> None:
    """Say which stage of how many this is, when DVC runs it."""
    name = os.environ.get("DVC_STAGE")
    if name is None:
        return
    # The stages in the order of dvc.yaml; a foreach stage counts once.
    section = re.search(r"^stages:\n((?:[ #].*\n|\n)*)", Path("dvc.yaml").read_text(encoding="utf-8"), re.MULTILINE)
    stages = re.findall(r"^  (\w+):$", section[1], re.MULTILINE) if section else []
    base = name.rsplit(":", 1)[-1].split("@")[0]
    if base in stages:
        print(f"[stage {stages.index(base) + 1} of {len(stages)}] {name}", file=sys.stderr, flush=True)


def _end_with_parent() -> None:
    """End this process when the DVC that started it ends: a killed `dvc repro` must not leave its stage running."""
    if "DVC_STAGE" not in os.environ:
        return
    import psutil

    watched = []
    for parent in psutil.Process().parents():
        watched.append(parent)
        if any(Path(word).name == "dvc" for word in parent.cmdline()[:3]):
            break
    else:
        return

    def watch() -> None:
        while all(parent.is_running() and parent.status() != psutil.STATUS_ZOMBIE for parent in watched):
            time.sleep(WATCH_EVERY)
        with suppress(OSError):  # whoever read this may be gone too
            print("the dvc that started this stage is gone: stopping too", file=sys.stderr, flush=True)
        os.kill(os.getpid(), signal.SIGTERM)
        time.sleep(LAST_STEP)
        os.kill(os.getpid(), signal.SIGKILL)

    threading.Thread(target=watch, name="end with parent", daemon=True).start()
