"""How much memory a process has held."""

import sys
from pathlib import Path

_STATUS = Path("/proc/self/status")


def peak_resident_mb() -> float:
    """Most memory that this process has held at once, in megabytes."""
    if _STATUS.exists():
        # The counter behind getrusage starts, in a new process, at what the one that started it had held.
        (line,) = (line for line in _STATUS.read_text().splitlines() if line.startswith("VmHWM:"))
        return int(line.split()[1]) * 1024 / 1e6
    import resource  # Windows has none, and has to import this file

    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak / 1e6 if sys.platform == "darwin" else peak * 1024 / 1e6
