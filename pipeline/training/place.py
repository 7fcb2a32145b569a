"""Where a run takes place: the hardware config made definite on this machine."""

from dataclasses import dataclass
from functools import cached_property

import psutil
import torch

from pipeline.base.errors import UserError
from pipeline.config.hardware import HardwareConfig
from pipeline.models.settings import ModelSettings
from pipeline.training.environment import resolve_device, resolve_precision, usable_processors

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
        if device == "cuda" and not torch.cuda.is_available():
            raise UserError(
                "hardware: `accelerator: gpu`, but torch sees no GPU; use `accelerator: auto` or install a CUDA build"
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

    def micro_batch(self, settings: ModelSettings, length: int, most: int) -> int:
        """How many sequences of `length` tokens go through the network at once: 1 to `most`.

        The result of a run does not depend on it beyond rounding. `auto` estimates it from the shape and the memory
        of the machine, not from what is free just now, so that a machine always takes the same; on a CPU too large a
        batch ends the process without an exception, so it cannot be tried.
        """
        if self.hardware.micro_batch != "auto":
            return min(most, int(self.hardware.micro_batch))
        per_value = 2 if self.precision == "bf16" else 4
        per_token = settings.kept_per_token * per_value
        on_gpu = self.device == "cuda"
        memory = torch.cuda.get_device_properties(0).total_memory if on_gpu else psutil.virtual_memory().total
        return max(1, min(most, int(SHARE_OF_MEMORY * memory / (per_token * length))))
