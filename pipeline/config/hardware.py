"""Schema of `configs/hardware/*.yaml`: where it runs, never what comes out."""

from dataclasses import dataclass, replace
from typing import Literal, Self

from pipeline.config.numbers import Count, CountOrNone


@dataclass(frozen=True)
class HardwareConfig:
    """Devices and processes. Not tracked by DVC: a result does not depend on it beyond rounding."""

    accelerator: Literal["auto", "cpu", "gpu", "mps"] = "auto"
    # Devices of each node; auto takes all of them (one process on a CPU).
    devices: Literal["auto"] | Count = "auto"
    nodes: Count = 1
    # auto: one process, or ddp where there are several devices. ddp: every process holds the whole network.
    # fsdp: each holds a part of the weights, gradients and moments, and borrows the rest for as long as it needs it.
    strategy: Literal["auto", "ddp", "fsdp"] = "auto"
    # Who starts the processes: rank 0 those of its machine (or torchrun, which is noticed); srun those of a SLURM job.
    launcher: Literal["auto", "srun"] = "auto"
    # Sequences (or documents) that go through the model at once; auto estimates it from memory on a CPU and finds it by
    # trial on a GPU. It is halved where it does not fit after all.
    micro_batch: Literal["auto"] | Count = "auto"
    # Processes that read data; 0 reads in the training process.
    workers: CountOrNone = 0
    # Threads of one process; auto follows the processors this process may use and its quota.
    threads: Literal["auto"] | Count = "auto"
    # Compile the blocks of a Transformer for training (torch.compile; a C++ compiler on a CPU): a minute or two
    # at the start of a stage, then faster steps in less memory. Results differ by rounding.
    compile: bool = False

    def __post_init__(self) -> None:
        if self.accelerator == "mps" and (self.devices not in ("auto", 1) or self.nodes > 1):
            raise ValueError("`accelerator: mps` is one device; write `devices: 1`")
        if self.compile and self.strategy == "fsdp":
            raise ValueError("`compile: true` and `strategy: fsdp` do not go together; choose one of them")

    def alone(self) -> Self:
        """One device of this machine, for work that is too small to share out."""
        return replace(self, devices=1, nodes=1, strategy="auto", launcher="auto")
