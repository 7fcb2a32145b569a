"""The LightningModule that every training stage shares: one Lightning batch is one optimiser step.

Optimisation is manual: gradients of the global batch come from `gradients.py`, are clipped here and taken by the
optimiser. A step is the only unit that a resume has to know.
"""

import math
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch
from pytorch_lightning.strategies import ModelParallelStrategy
from torch import Tensor, nn

from pipeline.base.errors import Stopped, UserError
from pipeline.base.progress import Progress, quantity
from pipeline.config.training import TrainingConfig
from pipeline.training.curve import Row
from pipeline.training.gradients import GlobalBatch
from pipeline.training.groups import parameter_groups
from pipeline.training.optimiser import MuonAdamW
from pipeline.training.resume import weights_digest
from pipeline.training.schedules import rate
from pipeline.training.sharding import gathered, split_state, whole
from pipeline.training.stopping import StopRequest

CURVE_ROWS = 200  # rows of a phase's curve, at most, beside those with a validation


class NotFinite(UserError):
    """The loss, or its gradient, is no number any more."""


@dataclass(frozen=True)
class Phase:
    """One `Trainer.fit`: which layer groups train, and for how many steps."""

    name: str
    steps: int
    # Names of the layer groups that train; None trains all.
    groups: tuple[str, ...] | None = None
    # Steps between two validations; one begins the run and one ends the phase. None: those alone.
    validate_every: int | None = None
    # False: no validation at all.
    validates: bool = True


@dataclass
class Position:
    """Where a run stands, beside its tensors: all of it is kept in the resume state."""

    phase: int = 0
    step: int = 0
    tokens: int = 0
    seconds: float = 0.0


class TrainingModule(GlobalBatch):
    """Base of the language-model and classifier modules: the step, the schedule, the curve, the checkpoints."""

    def __init__(self, network: nn.Module, config: TrainingConfig, micro_batch: int, title: str) -> None:
        super().__init__(network, micro_batch, title)
        self.automatic_optimization = False
        self.config = config
        self.position = Position()
        self.curve: list[Row] = []
        self.optimizer_state: dict[str, Any] | None = None  # of a resumed phase, until the optimiser exists
        self.phase = Phase("", 0)
        self.asked_to_stop = False  # after a phase's last step
        self.schedule: Callable[[TrainingConfig, int, int], float] = rate

    # The life of a phase.

    def begin(self, number: int, phase: Phase) -> None:
        """Freeze and unfreeze for a phase; called before its `Trainer.fit`, so that DDP sees what trains."""
        self.phase = phase
        if number != self.position.phase:
            self.position.phase, self.position.step = number, 0
        for name, parameters in self.network.layer_groups():  # type: ignore[operator]
            for parameter in parameters:
                parameter.requires_grad = phase.groups is None or name in phase.groups

    def setup(self, stage: str) -> None:
        """Refuse processes that would train something else than the first one does."""
        strategy = self.trainer.strategy
        if self.resume is None or self.trainer.world_size == 1:
            return
        weights = weights_digest(self.network) if isinstance(strategy, ModelParallelStrategy) else ""
        mine = (self.resume.path.name, self.position.phase, self.position.step, weights)
        every: list[Any] = [None] * self.trainer.world_size
        torch.distributed.all_gather_object(every, mine)
        others = [str(rank + 1) for rank, what in enumerate(every) if what != every[0]]
        if others and self.global_rank:
            raise SystemExit(1)
        if others:
            raise UserError(
                f"{self.title}: process {', '.join(others)} of {len(every)} has other configs, code, data or resume "
                "states than the first; all machines need one shared folder, or equal copies"
            )

    def configure_optimizers(self) -> MuonAdamW:
        """The optimiser over what trains in this phase, with its state if the phase is resumed."""
        groups = self.network.layer_groups()  # type: ignore[operator]
        matrices = self.network.hidden_matrices()  # type: ignore[operator]
        optimizer = MuonAdamW(parameter_groups(groups, matrices, self.config), self.config.beta1, self.config.beta2)
        if self.optimizer_state is not None:
            optimizer.load_state_dict(self.optimizer_state)
            split_state(optimizer)
            self.optimizer_state = None
        return optimizer

    def on_train_start(self) -> None:
        """Open the progress line; measure once before the first step, so that the curve shows the start."""
        self.network.train()
        steps = self.phase.steps
        self.progress = Progress(f"{self.title}{' ' + self.phase.name if self.phase.name else ''}", steps, "steps")
        self.progress.resume_at(self.position.step)
        self.progress_tokens = 0
        self.started = time.monotonic()
        self.stop = StopRequest(self.trainer.world_size)
        if self.resume is not None:
            self.stop.listen()
        if self.phase.validates and self.position.step == 0 and self.position.phase == 0:
            self._record(self.measured())

    def training_step(self, batch: dict[str, Any], index: int) -> None:
        """One optimiser step on this rank's share of the global batch."""
        optimizer = self.optimizers()
        factor = self.schedule(self.config, self.position.step, self.phase.steps)
        for group in optimizer.param_groups:  # type: ignore[union-attr]
            group["lr"] = group["peak"] * factor

        self.network.begin_step(batch["step_seed"])  # type: ignore[operator]
        if self.tries:
            self.try_micro_batch(batch)
        loss = self.gradients(batch)
        trainable = [parameter for parameter in self.network.parameters() if parameter.requires_grad]
        norm = whole(nn.utils.clip_grad_norm_(trainable, self.config.clip or math.inf))
        # On a GPU reading a value waits for the device, so it is read only where it is written down.
        due = self._due()
        if due or not norm.is_cuda:
            self._refuse_not_finite(loss, norm)
        optimizer.step()  # type: ignore[union-attr]
        optimizer.zero_grad(set_to_none=True)  # type: ignore[union-attr]

        self.position.step += 1
        self.position.tokens += batch["tokens_in_step"]
        self.progress_tokens += batch["tokens_in_step"]
        if due:
            self._write_down(loss, norm, factor)
        elif self.global_rank == 0:
            self.progress.update(1)
        if self.stop.agreed():
            self.stop_here()

    def on_train_end(self) -> None:
        """Close the progress line and count the time of this part of the run."""
        self.position.seconds += time.monotonic() - self.started
        self.asked_to_stop = self.stop.finish()
        if self.global_rank == 0:
            self.progress.__exit__(None, None, None)
        if self.sharded is not None:
            self.unshard()

    def _refuse_not_finite(self, loss: Tensor, norm: Tensor) -> None:
        if not (math.isfinite(loss.item()) and math.isfinite(norm.item())):
            raise NotFinite(
                f"{self.title}: the loss or its gradient is not a finite number at step {self.position.step + 1}"
                f"{' of phase ' + self.phase.name if self.phase.name else ''}; the last good state is kept. "
                f"Lower `learning_rate` (now {self.config.learning_rate:g}) or use `precision: fp32`, and run again"
            )

    # What is written down, and when.

    def _due(self) -> bool:
        """Whether the step now being taken is one that the curve, the validation or a checkpoint wants."""
        done = self.position.step + 1
        every = max(1, self.phase.steps // CURVE_ROWS)
        return done % every == 0 or self._validates(done) or self._checkpoints(done)

    def _validates(self, done: int) -> bool:
        every = self.phase.validate_every
        return self.phase.validates and (done == self.phase.steps or bool(every and done % every == 0))

    def _checkpoints(self, done: int) -> bool:
        return done == self.phase.steps or done % self.config.checkpoint_every == 0

    def _write_down(self, loss: Tensor, norm: Tensor, factor: float) -> None:
        done = self.position.step
        value = loss.item()
        row: Row = {
            "learning_rate": self.config.learning_rate * factor,
            "train_loss": value,
            "gradient_norm": norm.item(),
        }
        if self._validates(done):
            row |= self.measured()
        self._record(row)
        if self._checkpoints(done):
            self.save_state()
        if self.global_rank == 0:
            speed = self.progress_tokens / max(1e-9, time.monotonic() - self.started)
            shown = {"loss": f"{value:.3f}", "tokens/s": quantity(speed)}
            last = next((r["validation_loss"] for r in reversed(self.curve) if "validation_loss" in r), None)
            self.progress.update(1, **shown, **({} if last is None else {"validation": f"{last:.3f}"}))

    def stop_here(self) -> None:
        """Keep the state and end the run, as somebody has asked for."""
        if not self._checkpoints(self.position.step):
            self.save_state()
        # The first process may be writing still, and is ended soon after any other.
        self.trainer.strategy.barrier("state written")
        if self.global_rank:
            raise SystemExit(1)
        raise Stopped(
            f"{self.title}: stopped after step {self.position.step:,} of {self.phase.steps:,}"
            f"{' of phase ' + self.phase.name if self.phase.name else ''}, as asked; "
            "nothing is lost, run the same command again to go on"
        )

    def _record(self, values: Row | dict[str, float]) -> None:
        before = sum(phase.steps for phase in self.phases_before)
        where: Row = {"step": before + self.position.step, "tokens": self.position.tokens, "phase": self.phase.name}
        self.curve.append(where | dict(values))

    phases_before: tuple[Phase, ...] = ()

    # The resume state.

    def extra_state(self) -> list[Tensor]:
        """Tensors beside weights and optimiser that the next step depends on, of all processes together."""
        return []

    def load_extra_state(self, state: list[Tensor], rank: int, world: int) -> None:
        """Take this process's part of `extra_state` again."""

    def save_state(self) -> None:
        """Keep everything that the rest of the run depends on; every process calls it, the first one writes."""
        if self.resume is None:
            return
        extra = self.extra_state()
        optimizer = self.optimizers(use_pl_optimizer=False)
        tensors = {"network": self.network.state_dict(), "optimizer": optimizer.state_dict()}  # type: ignore[union-attr]
        if self.sharded is not None:
            tensors = gathered(tensors, keep=self.global_rank == 0)
        if self.global_rank:
            return
        position = self.position
        self.resume.save(
            position.phase,
            position.step,
            {
                **tensors,
                "curve": self.curve,
                "tokens": position.tokens,
                "seconds": position.seconds + time.monotonic() - self.started,
                "micro_batch": self.micro_batch,
                "extra": extra,
            },
        )

    def load_state(self, state: dict[str, Any], rank: int, world: int) -> None:
        """Go back to a state of `save_state`; the optimiser takes its part when the phase begins."""
        self.load_extra_state(state["extra"], rank, world)
        self.network.load_state_dict(state["network"])
        self.position = Position(state["phase"], state["step"], state["tokens"], state["seconds"])
        self.curve = state["curve"]
        self.micro_batch = state["micro_batch"]
        self.optimizer_state = state["optimizer"]
