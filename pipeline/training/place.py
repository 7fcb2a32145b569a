"""Where a run takes place: the hardware config made definite on this machine."""

from dataclasses import dataclass
from functools import cached_property

import psutil
import torch

from pipeline.base.errors import UserError
from pipeline.base.processors import usable_processors
from pipeline.config.hardware import HardwareConfig
from pipeline.models.settings import ModelSettings
from pipeline.training.activations import kept_bytes
from pipeline.training.environment import absent, resolve_device, resolve_precision

SHARE_OF_MEMORY = 0.25  # of the device's memory, for activations; the rest is weights, optimiser, text and other work


@dataclass(frozen=True)
class Place:
    """Device, processes, threads and precision of a run; `precision` is what the stage's config asks for."""

    hardware: HardwareConfig
    wanted_precision: str

    @cached_property
    def device(self) -> str:
        """The torch device type: cpu, cuda or mps."""
        device = resolve_device(self.hardware.accelerator)
        if name := absent(device):
            raise UserError(
                f"hardware: `accelerator: {self.hardware.accelerator}`, but torch sees no {name}; "
                "use `accelerator: auto`, or install a build of torch for it"
            )
        there = torch.cuda.device_count() if device == "cuda" else None
        if there is not None and self.hardware.devices != "auto" and int(self.hardware.devices) > there:
            raise UserError(
                f"hardware: `devices: {self.hardware.devices}`, but torch sees {there} on this machine; "
                "use `devices: auto`"
            )
        return device

    @cached_property
    def precision(self) -> str:
        """fp32 or bf16."""
        return resolve_precision(self.wanted_precision, self.device)

    @property
    def devices(self) -> int:
        """Processes on each node, one a device."""
        if self.hardware.devices != "auto":
            return int(self.hardware.devices)
        return torch.cuda.device_count() if self.device == "cuda" else 1

    @property
    def processes(self) -> int:
        """Processes of the whole run."""
        return self.devices * self.hardware.nodes

    @property
    def threads(self) -> int:
        """Threads of this process: processes on a CPU share its processors."""
        if self.hardware.threads != "auto":
            return int(self.hardware.threads)
        return max(1, usable_processors() // (self.devices if self.device == "cpu" else 1))

    def refuse_idle(self, most: int) -> None:
        """Refuse processes that find no work: more than the config's global batch has sequences or documents."""
        if most < self.processes:
            raise UserError(
                f"hardware: {self.processes} processes for {most} sequences or documents a step; use at most {most} "
                "devices in all, or a larger batch"
            )

    @property
    def tries_micro_batch(self) -> bool:
        """Whether processes find the micro batch before their first step.

        One alone halves it in any step. Sharded processes cannot try apart, and keep to the estimate.
        """
        return self._found_by_trial and self.processes > 1

    @property
    def _found_by_trial(self) -> bool:
        return self.device == "cuda" and self.hardware.micro_batch == "auto" and self.hardware.strategy != "fsdp"

    def micro_batch(self, settings: ModelSettings, length: int, most: int) -> int:
        """How many sequences of `length` tokens go through the network at once, of the `most` of a global batch.

        The result of a run does not depend on it beyond rounding. On a GPU `auto` is the largest power of two that a
        process could need, to be halved where it does not fit. On a CPU too large a batch ends the process without
        an exception, so it cannot be tried: it is estimated from the shape and the memory of the machine, not from
        what is free just now, so that a machine always takes the same.
        """
        if self.hardware.micro_batch != "auto":
            return min(most, int(self.hardware.micro_batch))
        if self._found_by_trial:
            return 1 << (-(-most // self.processes)).bit_length() - 1
        on_gpu = self.device == "cuda"
        memory = torch.cuda.get_device_properties(0).total_memory if on_gpu else psutil.virtual_memory().total
        return max(1, min(most, int(SHARE_OF_MEMORY * memory / kept_bytes(settings, length, self.precision))))
