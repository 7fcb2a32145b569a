"""How many processors this process may keep busy."""

import os
from pathlib import Path

CGROUP = Path("/sys/fs/cgroup")


def usable_processors() -> int:
    """OMP_NUM_THREADS, or the processors of this process's affinity, cut by a container's quota (cgroup v1 or v2)."""
    if (wanted := os.environ.get("OMP_NUM_THREADS", "")).isdecimal():
        return max(1, int(wanted))
    count = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    quota = _quota()
    return count if quota is None else min(count, max(1, int(quota)))


def _quota() -> float | None:
    """Processors that the group of this process may use on average; None without a limit."""
    try:
        if (of_v2 := CGROUP / "cpu.max").is_file():
            most, period = of_v2.read_text(encoding="utf-8").split()
        else:
            most, period = (
                (CGROUP / f"cpu/cpu.cfs_{name}_us").read_text("utf-8").strip() for name in ("quota", "period")
            )
    except OSError:
        return None
    return None if most == "max" or int(most) < 0 else int(most) / int(period)
