"""Memory of one device by part, under one process, DDP and FSDP, and what would fit where nothing does.

ZeRO (Rajbhandari et al. 2020, section 3.1) counts the bytes of a parameter in mixed precision; here weights, gradients
and moments are all in fp32, with casts to bf16 as autocast makes them. FSDP, its stage 3, divides these among n devices
and holds whole what is at work. Activations: `training/activations.py`.
"""

import math
from dataclasses import dataclass
from typing import Literal

from pipeline.objectives.cross_entropy import CHUNK
from pipeline.planning.devices import Device
from pipeline.planning.stage import Stage
from pipeline.training.activations import kept_bytes

Strategy = Literal["one process", "DDP", "FSDP"]
USABLE = 0.92  # of a device's memory: the rest goes to what the allocator cannot use
# Bytes before the first tensor: Python with torch and Lightning, or a CUDA context with its libraries.
RUNTIME_CPU, RUNTIME_GPU = 0.5e9, 0.6e9


@dataclass(frozen=True)
class Memory:
    """Bytes; activations and loss are there in a step, scratch in the update behind it, so the larger one counts."""

    weights: float
    # Autocast's bf16 copies of matrices.
    casts: float
    gradients: float
    optimiser: float
    activations: float
    loss: float
    scratch: float
    data: float
    runtime: float

    @property
    def total(self) -> float:
        """At the worst moment."""
        steady = self.weights + self.gradients + self.optimiser + self.data + self.runtime
        return steady + max(self.casts + self.activations + self.loss, self.scratch)


def memory_of(
    stage: Stage, device: Device, precision: str, micro_batch: int, strategy: Strategy = "one process", devices: int = 1
) -> Memory:
    """Memory of each of so many devices when `micro_batch` sequences go through the network at once.

    DDP keeps gradients in its own buckets, of which the gradients are views (`gradient_as_bucket_view`), so it needs
    what one process needs. FSDP here gathers block after block in fp32: two are whole at a time, the one at work and
    the one on its way, and the embeddings all the time. Where processes do not all have equally many passes (`even`),
    all weights and gradients are whole until the step's end; gradients also where there are several passes.
    """
    parameters, update = stage.parameters, stage.update
    cpu = device.node == 1
    casts = 2.0 * stage.matrices if precision == "bf16" else 0.0
    weights, gradients, moments = 4.0 * parameters, 4.0 * update.parameters, 4.0 * update.state
    scratch = 4.0 * update.scratch * (1 if cpu else 0.5)  # Muon's alone; in bf16 on a GPU
    if strategy == "FSDP":
        passes = math.ceil(math.ceil(stage.sequences / devices) / micro_batch)
        whole = 4.0 * (stage.outside + 2 * stage.largest_block)
        gathered = whole if stage.even else weights
        unreduced = whole / 2 if stage.even and passes == 1 else gradients
        weights, gradients, moments = weights / devices + gathered, gradients / devices + unreduced, moments / devices
        casts = casts / parameters * (stage.outside + stage.largest_block) if casts else 0.0
    sequences = min(micro_batch, stage.sequences)
    return Memory(
        weights=weights,
        casts=casts,
        gradients=gradients,
        optimiser=moments,
        activations=float(sequences * activation_bytes(stage, precision)),
        loss=loss_bytes(stage, precision, sequences),
        scratch=scratch,
        data=16.0 * stage.sequences * stage.length,
        runtime=RUNTIME_CPU if cpu else RUNTIME_GPU,
    )


def activation_bytes(stage: Stage, precision: str) -> int:
    """What one sequence keeps for the backward pass, in all the networks that train."""
    return sum(kept_bytes(settings, stage.kept_length, precision) for settings in stage.settings)


def loss_bytes(stage: Stage, precision: str, sequences: int) -> float:
    """Scores of a chunk of rows in two forms, and the gradients that are computed along with the loss."""
    if not stage.scored:
        return 0.0
    rows = min(CHUNK, sequences * stage.length)
    value = 2 if precision == "bf16" else 4
    scores = rows * stage.vocabulary * (4.0 + value)
    return scores + 4.0 * stage.scored + 4.0 * sequences * stage.length * stage.settings[0].width


def largest_micro_batch(stage: Stage, device: Device, precision: str, strategy: Strategy, devices: int) -> int:
    """The largest power of two of sequences that fits, of those that one of so many devices gets; 0 if none does.

    So does a run find it on a GPU: from above, halved until it fits.
    """
    share = -(-stage.sequences // devices)
    tried = 1 << share.bit_length() - 1
    while tried and memory_of(stage, device, precision, tried, strategy, devices).total > USABLE * device.memory:
        tried //= 2
    return tried


def fewest_devices(stage: Stage, device: Device, precision: str, most: int = 1024) -> int | None:
    """The lowest power of two of devices over which FSDP fits one sequence each; None if `most` are not enough."""
    devices = 2
    while devices <= most:
        if memory_of(stage, device, precision, 1, "FSDP", devices).total <= USABLE * device.memory:
            return devices
        devices *= 2
    return None
