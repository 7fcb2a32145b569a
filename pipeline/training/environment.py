"""What this machine offers and what a run used: threads, precision, versions, peak speed."""

import os
import platform
import re
import subprocess
import time
from functools import cache
from importlib.metadata import version
from pathlib import Path
from typing import Any

import torch
from threadpoolctl import threadpool_info

from pipeline.base.memory import peak_resident_mb

PEAK_SECONDS = 0.3  # of products whose fastest one counts: the processor reaches its clock, other work passes
CPU_ALLOCATOR = "DefaultCPUAllocator"  # in what torch raises for a processor's memory, under `ulimit -v` for instance
# Dense peak in FLOP/s without sparsity, from the makers' data sheets: (name in torch, bf16, fp32 with TF32 off).
GPU_PEAKS = (
    ("B200", 2250e12, 80e12),
    ("MI300X", 1307e12, 163e12),
    ("H200", 989e12, 67e12),
    ("H100 PCIe", 756e12, 51e12),
    ("H100", 989e12, 67e12),
    ("A100", 312e12, 19.5e12),
    ("L40S", 362e12, 91.6e12),
    ("L4", 121e12, 30.3e12),
    ("A10G", 70e12, 35e12),
    ("RTX 4090", 165e12, 82.6e12),
    ("RTX 3090", 71e12, 35.6e12),
    ("T4", 65e12, 8.1e12),
    ("V100", 125e12, 15.7e12),
)
OF_RUNS = ("results", "dvc.lock", "benchmarks/results", "docs/results")  # tracked, and written by runs


@cache
def _processor_flags() -> frozenset[str]:
    info = Path("/proc/cpuinfo")
    lines = info.read_text().splitlines() if info.exists() else []
    return frozenset(next((line.split(":", 1)[1].split() for line in lines if line.startswith("flags")), []))


def resolve_precision(wanted: str, device: str) -> str:
    """`auto` is bf16 where the processor multiplies it natively, else fp32."""
    if wanted != "auto":
        return wanted
    if device == "cuda":
        return "bf16" if torch.cuda.is_bf16_supported(including_emulation=False) else "fp32"
    return "bf16" if device == "cpu" and _processor_flags() & {"avx512_bf16", "amx_bf16"} else "fp32"


def resolve_device(accelerator: str) -> str:
    """The torch device type behind `accelerator: auto`."""
    if accelerator == "auto":
        return "cuda" if torch.cuda.is_available() else "cpu"
    return "cuda" if accelerator == "gpu" else accelerator


def absent(device: str) -> str | None:
    """The name of a device type's hardware where torch sees none; None where it is there."""
    if device == "cuda":
        return None if torch.cuda.is_available() else "GPU"
    if device == "mps":
        return None if torch.backends.mps.is_available() else "Apple GPU"
    return None


def out_of_memory(error: RuntimeError) -> bool:
    """Whether it says that a device's memory is full, or a processor's."""
    return isinstance(error, torch.OutOfMemoryError) or CPU_ALLOCATOR in str(error)


def data_sheet(name: str) -> tuple[float, float] | None:
    """Peak FLOP/s in bf16 and fp32 of the GPU that torch calls so; None for one that is not known."""
    return next(((bf16, fp32) for known, bf16, fp32 in GPU_PEAKS if is_a(known, name)), None)


def is_a(known: str, name: str) -> bool:
    """Whether torch's name of a GPU holds this one: whole, for an L40 is no L4; a GH200 is an H200 beside Grace."""
    return re.search(rf"\bG?{known}\b", name) is not None


@cache
def peak_flops(device: str, precision: str) -> float:
    """Peak FLOP/s: the data sheet's for a known GPU, a matrix product's best for anything else."""
    if device == "cuda" and (peaks := data_sheet(torch.cuda.get_device_name())):
        return peaks[0] if precision == "bf16" else peaks[1]
    size = 1024
    left = torch.rand(size, size, device=device, dtype=torch.bfloat16 if precision == "bf16" else torch.float32)
    best, end = float("inf"), time.perf_counter() + PEAK_SECONDS
    while (started := time.perf_counter()) < end:
        (left @ left)[0, 0].item()
        best = min(best, time.perf_counter() - started)
    return 2 * size**3 / best


def peak_memory_mb(device: str) -> float:
    """Most memory this process held: the device's on CUDA, resident on CPU; megabytes."""
    if device == "cuda":
        return torch.cuda.max_memory_allocated() / 1e6
    return peak_resident_mb()


def processor_name() -> str:
    """The processor as the system names it."""
    info = Path("/proc/cpuinfo")
    if info.exists():
        for line in info.read_text().splitlines():
            if line.startswith("model name"):
                return line.split(":", 1)[1].strip()
    return platform.processor() or platform.machine()


def blas_kernels() -> str | None:
    """Whose matrix products NumPy takes, and for which processor; None: a library that does not say.

    By the processor, or by variables of its own as OPENBLAS_CORETYPE, which change the last digits of every sum.
    """
    found = [library for library in threadpool_info() if library["user_api"] == "blas"]
    if not found:
        return None
    library = min(found, key=lambda one: "numpy" not in one["filepath"])  # SciPy's own may be loaded too
    return f"{library['internal_api']} {library['version']} {library.get('architecture', '')}".rstrip()


def describe(device: str, processes: int, threads: int, precision: str, micro_batch: int) -> dict[str, Any]:
    """What stands beside a result, for run.json: the fingerprint under which bits repeat, and the commit."""
    load = os.getloadavg()[0] if hasattr(os, "getloadavg") else None
    return {
        "hardware": {
            "device": torch.cuda.get_device_name() if device == "cuda" else processor_name(),
            "instruction_set": torch.backends.cpu.get_cpu_capability(),
            "blas": blas_kernels(),
            "processes": processes,
            "threads": threads,
            "micro_batch": micro_batch,
            "precision": precision,
            "load_at_end": load,
        },
        "versions": {
            "python": platform.python_version(),
            **{name: version(name) for name in ("torch", "pytorch-lightning", "tokenizers", "numpy")},
        },
        "commit": commit(),
    }


def commit() -> str | None:
    """The repository's commit, with "-dirty" where something other than results has changed since; None without git.

    A run changes its own results, tracked as they are, before it is over.
    """
    name = _git("describe", "--always")
    changed = _git("status", "--porcelain", "--untracked-files=no", "--", ".", *(f":!{path}" for path in OF_RUNS))
    return f"{name}-dirty" if name and changed else name or None


def _git(*words: str) -> str:
    return subprocess.run(["git", *words], capture_output=True, text=True, check=False).stdout.strip()
