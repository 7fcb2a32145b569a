"""Schema of `configs/hardware/*.yaml`: where it runs, never what comes out."""

from dataclasses import dataclass
from typing import Annotated, Literal

from pydantic import Field

from pipeline.config.training import Count


@dataclass(frozen=True)
class HardwareConfig:
    """Devices and processes. Not tracked by DVC: a result does not depend on it beyond rounding."""

    accelerator: Literal["auto", "cpu", "gpu", "mps"] = "auto"
    # Devices of each node; auto takes all of them (one process on a CPU).
    devices: Literal["auto"] | Count = "auto"
    nodes: Count = 1
    # auto: one process, or ddp where there are several devices.
    strategy: Literal["auto", "ddp"] = "auto"
    # Sequences (or documents) that go through the model at once; auto estimates it from memory.
    micro_batch: Literal["auto"] | Count = "auto"
    # Processes that read data; 0 reads in the training process.
    workers: Annotated[int, Field(ge=0)] = 0
    # Threads of one process; auto follows the processors this process may use and its quota.
    threads: Literal["auto"] | Count = "auto"
    # Compile the model (needs a C++ compiler on a CPU).
    compile: bool = False
