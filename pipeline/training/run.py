"""Run the phases of a stage through Lightning, from the last checkpoint if there is one."""

import logging
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytorch_lightning as pl
import torch
from pytorch_lightning.plugins.environments import LightningEnvironment
from pytorch_lightning.strategies import DDPStrategy, ModelParallelStrategy, Strategy
from pytorch_lightning.utilities import rank_zero_only

from pipeline.base.errors import UserError
from pipeline.training.compiling import compile_stacks
from pipeline.training.curve import write_curve
from pipeline.training.module import NotFinite, Phase, TrainingModule
from pipeline.training.place import Place
from pipeline.training.processes import started_by_cluster
from pipeline.training.rate_search import STEPS, Diverged, climbing
from pipeline.training.reading import Reader, Steps, killed
from pipeline.training.resume import ResumeFolder

# Warnings of Lightning and cuDNN about what is meant here.
EXPECTED = (
    ".*does not have many workers.*",
    ".*`training_step` returned `None`.*",
    ".*LeafSpec.*",
    ".*single contiguous chunk.*",
    ".*returned a view tensor.*",
)
RATES = Path("results/lr_find")
# The loggers by which Lightning announces devices and tips at each start; a stage says what matters itself.
TALKATIVE = tuple(
    room + name
    for room in ("pytorch_lightning", "lightning_fabric")
    for name in ("", ".utilities.rank_zero", ".utilities.distributed")
)


def this_rank() -> int:
    """This process's number among all of the run (0 before any other was started)."""
    return int(getattr(rank_zero_only, "rank", 0))


def scale_dropout(trainee: Any, factor: float) -> None:
    """Let every dropout of what trains act at `factor` times its rate: `drop_mult`, on whatever network it meets."""
    try:
        trainee.set_drop_mult(factor)
    except ValueError as error:
        raise UserError(f"`drop_mult: {factor:g}` does not fit this language model: {error}; lower it") from error


def run_phases(
    module: TrainingModule,
    phases: list[Phase],
    share: Callable[[int, int, int, int], dict[str, Any]],
    *,
    resume: ResumeFolder | None,
    place: Place,
) -> None:
    """Train all phases, each with one `Trainer.fit`.

    `share(phase, step, rank, world)` is a rank's part of a step: a dict with `denominator` (targets of the global
    batch), `tokens_in_step` (of the global batch) and whatever the module's `micro_batches` reads. Gradients are
    exchanged in passes through the network, so a rank without work reads something at a `weight` of 0.
    """
    torch.set_num_threads(place.threads)
    if place.hardware.compile:
        compile_stacks(module.network, place.device)
    module.resume = resume
    module.tries = place.tries_micro_batch
    state = resume.load() if resume else None
    if state is not None:
        given = module.micro_batch
        module.load_state(state, this_rank(), place.processes)
        if place.hardware.micro_batch != "auto":  # by who may have been told that the former one does not fit
            module.micro_batch = given
        module.tries = False
        if this_rank() == 0:
            print(f"  going on from step {state['step']} of phase {state['phase'] + 1} of {len(phases)}")
    if resume is not None and (fits := resume.micro_batch()) is not None:
        module.micro_batch = min(module.micro_batch, fits)
    for number in range(module.position.phase, len(phases)):
        phase = phases[number]
        module.phases_before = tuple(phases[:number])
        module.begin(number, phase)
        if module.position.step >= phase.steps:
            module.optimizer_state = None
            continue

        def part(step: int, number: int = number) -> dict[str, Any]:
            return share(number, step, this_rank(), place.processes)

        _fit(_trainer(place), module, Reader(Steps(part, module.position.step, phase.steps), place))
        if module.asked_to_stop and number + 1 < len(phases):
            module.stop_here()


def search_rates(
    module: TrainingModule,
    share: Callable[[int, int, int, int], dict[str, Any]],
    *,
    place: Place,
    curve: Path,
) -> None:
    """Train all groups for a few steps at a climbing rate, and write the losses of all rates to the file `curve`."""
    module.schedule = climbing(module.curve)
    try:
        run_phases(module, [Phase("", STEPS, validates=False)], share, resume=None, place=place)
    except Diverged:
        pass
    except NotFinite:  # as far as one can see; nothing else that goes wrong is the rate's doing
        if not module.curve:
            raise
    if this_rank() == 0:
        write_curve(curve, module.curve, ("step", "tokens", "phase", "learning_rate", "train_loss", "gradient_norm"))


def _trainer(place: Place) -> pl.Trainer:
    for name in TALKATIVE:
        logging.getLogger(name).setLevel(logging.ERROR)
    # Deterministic kernels write every element they make; filling fresh memory as well would cost 3 % of a step.
    torch.utils.deterministic.fill_uninitialized_memory = False  # type: ignore[attr-defined]
    return pl.Trainer(
        accelerator="gpu" if place.device == "cuda" else place.device,
        devices=place.devices,
        num_nodes=place.hardware.nodes,
        strategy=_strategy(place),
        # Else Lightning takes any process of a SLURM job for one of a distributed run.
        plugins=[LightningEnvironment()] if started_by_cluster() is None else None,
        precision="bf16-mixed" if place.precision == "bf16" else "32-true",
        max_epochs=1,
        deterministic=True if place.device == "cpu" else "warn",
        use_distributed_sampler=False,
        enable_checkpointing=False,
        enable_progress_bar=False,
        enable_model_summary=False,
        logger=False,
        num_sanity_val_steps=0,
    )


def _strategy(place: Place) -> Strategy | str:
    """DDP copies the whole network to each process, FSDP (Lightning's `ModelParallelStrategy`) parts of it."""
    if place.hardware.strategy == "fsdp":
        return ModelParallelStrategy(data_parallel_size=place.processes, tensor_parallel_size=1)
    if place.processes > 1 or place.hardware.strategy == "ddp":
        return DDPStrategy(gradient_as_bucket_view=True)
    return "auto"


def _fit(trainer: pl.Trainer, module: TrainingModule, reader: Reader) -> None:
    with warnings.catch_warnings():
        for message in EXPECTED:
            warnings.filterwarnings("ignore", message=message)
        try:
            trainer.fit(module, reader)
        except RuntimeError as error:
            if (told := killed(error)) is not None:
                raise told from error
            raise
        except SystemExit:  # what Lightning makes of Ctrl-C before the first step, or the second one
            if this_rank() == 0:
                raise KeyboardInterrupt from None
            raise
