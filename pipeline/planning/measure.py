"""A few real training steps of a planned language model on this machine: what share of its peak it reaches."""

from dataclasses import dataclass, replace
from itertools import pairwise
from pathlib import Path
from statistics import median
from time import perf_counter
from typing import Any

import numpy as np
import torch

from pipeline.base.errors import UserError
from pipeline.batches.seeds import sequence_seeds, step_seed
from pipeline.config.language_model import LanguageModelConfig
from pipeline.language_model.module import LanguageModelModule
from pipeline.language_model.task import task_of
from pipeline.models.build import build
from pipeline.planning.devices import Device
from pipeline.planning.memory import memory_of
from pipeline.planning.stage import Stage
from pipeline.text.specials import SPECIALS
from pipeline.training.environment import peak_memory_mb
from pipeline.training.module import Phase
from pipeline.training.place import Place
from pipeline.training.run import run_phases

STEPS, WARM_UP = 4, 1
LONGEST = 8.0  # seconds that a step is expected to take at most; a larger batch is measured in part


@dataclass(frozen=True)
class Measured:
    """What the steps took; the batch is smaller than the config's where that would take too long."""

    sequences: int
    micro_batch: int
    tokens_per_second: float
    # Of the device's peak.
    share: float
    # Most that the process held, with all that is loaded into it.
    peak_memory_mb: float


def measure(stage: Stage, place: Place, device: Device, micro_batch: int) -> Measured:
    """Train on random tokens, through the loop of the stages, one process; nothing is read and nothing written."""
    config = stage.config
    assert isinstance(config, LanguageModelConfig)
    memory = memory_of(stage, device, place.precision, 1).total
    if memory > device.memory:
        raise UserError(
            f"one sequence of `{stage.name}` needs {memory / 1e9:,.0f} GB and this machine has "
            f"{device.memory / 1e9:,.0f}, so nothing can be measured; plan without --measure"
        )
    phase = stage.phases[-1]
    a_row = stage.length * phase.flops.both / device.speed(place.precision)
    sequences = min(stage.sequences, max(1, int(LONGEST / a_row)))
    micro_batch = min(micro_batch, sequences)
    times = _step_times(stage, config, place, sequences, micro_batch)
    seconds = median(times[WARM_UP:])
    # As the forecast counts: products at a share of the peak, AdamW at the speed of memory.
    flops = sequences * stage.length * phase.flops.both + phase.update.flops
    products = seconds - min(seconds / 2, phase.update.bytes / device.bandwidth)
    return Measured(
        sequences=sequences,
        micro_batch=micro_batch,
        tokens_per_second=sequences * stage.length / seconds,
        share=flops / products / device.peak(place.precision),
        peak_memory_mb=peak_memory_mb(place.device),
    )


def _step_times(
    stage: Stage, config: LanguageModelConfig, place: Place, sequences: int, micro_batch: int
) -> list[float]:
    """Seconds of each step."""
    network = build(stage.settings[-1], stage.vocabulary, config.seed)
    task = task_of(network, replace(config, whole_words=False), Path(), None)
    task.trainee.set_drop_mult(config.dropout_factor(0))
    nothing = torch.zeros(0, stage.length + 1, dtype=torch.int64), torch.zeros(0, dtype=torch.int64)
    module = LanguageModelModule(task.trainee, task.losses, config, micro_batch, "measuring", nothing, 1.0)
    random = np.random.Generator(np.random.PCG64(config.seed))
    windows = random.integers(len(SPECIALS), stage.vocabulary, (sequences, stage.length + 1))
    begun: list[float] = []

    def share(phase: int, step: int, rank: int, world: int) -> dict[str, Any]:
        begun.append(perf_counter())
        return {
            "windows_BT1": torch.from_numpy(windows),
            "seeds_B": torch.from_numpy(sequence_seeds(config.seed, step, np.arange(sequences))),
            "step_seed": step_seed(config.seed, step),
            "denominator": task.losses.targets(stage.length) * sequences,
            "tokens_in_step": sequences * stage.length,
        }

    alone = Place(place.hardware.alone(), place.wanted_precision)
    # A step's reading begins when the step before it has ended.
    run_phases(module, [Phase("", STEPS + WARM_UP + 1, validates=False)], share, resume=None, place=alone)
    return [after - before for before, after in pairwise(begun)]
