"""Run the phases of a stage through Lightning, from the last checkpoint if there is one."""

import logging
import warnings
from collections.abc import Callable
from typing import Any

import pytorch_lightning as pl
import torch
from pytorch_lightning.strategies import DDPStrategy
from pytorch_lightning.utilities import rank_zero_only
from torch.utils.data import DataLoader, Dataset

from pipeline.base.errors import UserError
from pipeline.config.hardware import HardwareConfig
from pipeline.training.environment import resolve_device, set_threads
from pipeline.training.module import Phase, TrainingModule
from pipeline.training.resume import ResumeFolder


class Steps(Dataset[dict[str, Any]]):
    """Item k is this process's share of step `start + k`: what `DataLoader` walks through, in order."""

    def __init__(self, share: Callable[[int], dict[str, Any]], start: int, stop: int) -> None:
        self.share, self.start, self.stop = share, start, stop

    def __len__(self) -> int:
        return self.stop - self.start

    def __getitem__(self, index: int) -> dict[str, Any]:
        return self.share(self.start + index)


def this_rank() -> int:
    """This process's number among all of the run (0 before any other was started)."""
    return rank_zero_only.rank or 0


def processes(hardware: HardwareConfig) -> int:
    """How many processes the hardware config asks for, on all nodes."""
    if hardware.devices != "auto":
        return hardware.devices * hardware.nodes
    on_gpu = resolve_device(hardware.accelerator) == "cuda"
    return (torch.cuda.device_count() if on_gpu else 1) * hardware.nodes


def run_phases(
    module: TrainingModule,
    phases: list[Phase],
    share: Callable[[int, int, int, int], dict[str, Any]],
    *,
    resume: ResumeFolder | None,
    hardware: HardwareConfig,
    precision: str,
) -> None:
    """Train all phases, each with one `Trainer.fit`.

    `share(phase, step, rank, world)` is a rank's part of a step: a dict with `denominator` (targets of the global
    batch), `tokens_in_step` (of the global batch) and whatever the module's `micro_batches` reads.
    `precision` is "fp32" or "bf16".
    """
    set_threads(hardware, processes(hardware) // hardware.nodes if resolve_device(hardware.accelerator) == "cpu" else 1)
    module.resume = resume
    state = resume.load() if resume else None
    if state is not None:
        module.load_state(state)
        if this_rank() == 0:
            print(f"  going on from step {state['step']} of phase {state['phase'] + 1} of {len(phases)}")
    for number in range(module.position.phase, len(phases)):
        phase = phases[number]
        module.phases_before = tuple(phases[:number])
        module.begin(number, phase)
        if module.position.step >= phase.steps:
            module.optimizer_state = None
            continue
        world = processes(hardware)

        def part(step: int, number: int = number, world: int = world) -> dict[str, Any]:
            return share(number, step, this_rank(), world)

        steps = Steps(part, module.position.step, phase.steps)
        loader = DataLoader(
            steps,
            batch_size=None,
            num_workers=hardware.workers,
            pin_memory=resolve_device(hardware.accelerator) == "cuda",
            persistent_workers=False,
        )
        _fit(_trainer(hardware, precision), module, loader)


def _trainer(hardware: HardwareConfig, precision: str) -> pl.Trainer:
    _quiet()
    several = processes(hardware) > 1
    device = resolve_device(hardware.accelerator)
    if device == "cuda" and not torch.cuda.is_available():
        raise UserError("hardware: `accelerator: gpu` but torch sees no GPU; use `accelerator: auto` or `cpu`")
    return pl.Trainer(
        accelerator={"cuda": "gpu"}.get(device, device),
        devices=(processes(hardware) // hardware.nodes),
        num_nodes=hardware.nodes,
        strategy=DDPStrategy(gradient_as_bucket_view=True) if several or hardware.strategy == "ddp" else "auto",
        precision="bf16-mixed" if precision == "bf16" else "32-true",
        max_epochs=1,
        deterministic=True if device == "cpu" else "warn",
        use_distributed_sampler=False,
        enable_checkpointing=False,
        enable_progress_bar=False,
        enable_model_summary=False,
        logger=False,
        num_sanity_val_steps=0,
    )


def _fit(trainer: pl.Trainer, module: TrainingModule, loader: DataLoader[dict[str, Any]]) -> None:
    with warnings.catch_warnings():
        for message in (".*does not have many workers.*", ".*`training_step` returned `None`.*", ".*LeafSpec.*"):
            warnings.filterwarnings("ignore", message=message)
        trainer.fit(module, loader)


def _quiet() -> None:
    """Lightning announces devices and tips at each start; a stage says what matters itself."""
    for name in ("pytorch_lightning", "pytorch_lightning.utilities.rank_zero"):
        logging.getLogger(name).setLevel(logging.ERROR)
