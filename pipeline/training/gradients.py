"""The gradient of a global batch: the same on however many processes, in micro batches of whatever size.

The sequences of a step are shared out over the processes and cut into micro batches; gradients of (sum of losses) /
(targets of the whole global batch) add up. DDP exchanges them in the last micro batch, FSDP as `sharding.py` says.
"""

import copy
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator
from contextlib import nullcontext
from typing import Any, ClassVar, TypeVar

import pytorch_lightning as pl
import torch
from pytorch_lightning.strategies import ModelParallelStrategy
from torch import Tensor, nn
from torch.nn.parallel import DistributedDataParallel

from pipeline.base.errors import UserError
from pipeline.training.environment import out_of_memory
from pipeline.training.resume import ResumeFolder
from pipeline.training.sharding import Sharded, whole

Result = TypeVar("Result")


class GlobalBatch(pl.LightningModule, ABC):
    """Base of `TrainingModule`: micro batches, processes, and what fits into memory."""

    # Attributes that hold the network or parts of it: what FSDP shards a copy of.
    trains: ClassVar[tuple[str, ...]] = ("network",)
    # What makes a sequence need less memory, for who has none left.
    shorter: ClassVar[str] = "`length`"

    def __init__(self, network: nn.Module, micro_batch: int, title: str) -> None:
        super().__init__()
        self.network = network
        self.micro_batch = micro_batch
        self.title = title
        self.resume: ResumeFolder | None = None
        self.sharded: Sharded | None = None  # while FSDP trains
        # Whether the micro batch is still to be found by trial, on each process by itself.
        self.tries = False

    # What a stage's module says about its own data.

    @abstractmethod
    def micro_batches(self, batch: dict[str, Any]) -> Iterator[Any]:
        """Cut this rank's share of a step into parts of `self.micro_batch` sequences."""

    @abstractmethod
    def loss_sum(self, micro: Any) -> Tensor:
        """Sum of the losses over the targets of a micro batch (a scalar with a gradient)."""

    @abstractmethod
    def validate(self) -> dict[str, float]:
        """Measure on validation data, over all ranks; the names are columns of the curve."""

    def even(self) -> bool:
        """Whether every micro batch goes through the network equally often, on whichever process."""
        return False

    def carried(self) -> list[Tensor]:
        """What the network carries from one step to the next, as it is before a step."""
        return []

    def carry(self, state: list[Tensor]) -> None:
        """Go back to what `carried` has said."""

    # The network, whole or in parts.

    def configure_model(self) -> None:
        """Under FSDP: train a sharded copy; the network itself gets its weights back at the end."""
        if not isinstance(self.trainer.strategy, ModelParallelStrategy):
            return
        self.kept = {name: getattr(self, name) for name in self.trains}
        for name, twin in copy.deepcopy(self.kept).items():
            setattr(self, name, twin)
        mesh = self.trainer.strategy.device_mesh["data_parallel"]
        self.sharded = Sharded(self.network, mesh, even=self.even())

    def unshard(self) -> None:
        """Put the sharded copy's weights into the network, and the network in its place again."""
        sharded, carried = self.network.state_dict(), self.carried()
        for name, part in self.kept.items():
            setattr(self, name, part)
        self.carry(carried)
        with torch.no_grad():
            for name, tensor in self.network.state_dict().items():
                tensor.copy_(whole(sharded[name]))
        self.sharded = None

    # One step.

    def gradients(self, batch: dict[str, Any]) -> Tensor:
        """Gradients of the global batch; a single process begins the step anew where its memory is too small."""
        if self.trainer.world_size == 1 and self.sharded is None:
            return self._fitting(lambda: self._accumulated(batch))
        try:
            return self._accumulated(batch)
        except RuntimeError as error:
            if not out_of_memory(error):
                raise
            # The others are in the middle of the step, so it cannot begin anew.
            self._halve_micro_batch(error)
            if self.resume is not None:
                self.resume.write_micro_batch(self.micro_batch)
            raise UserError(
                f"{self.title}: out of memory; run the same command again, it goes on with micro batches of "
                f"{self.micro_batch}"
            ) from error

    def _accumulated(self, batch: dict[str, Any]) -> Tensor:
        """Accumulate gradients over the micro batches; returns the mean loss of the global batch."""
        total = torch.zeros((), device=self.device)
        micros = list(self.micro_batches(batch))
        weights = [batch.get("weight", 1.0)] * len(micros)
        if self.sharded is not None and self.sharded.even:  # all processes gather weights together, so equally often
            missing = -(-batch["most"] // self.micro_batch) - len(micros)
            micros, weights = micros + micros[:1] * missing, weights + [0.0] * missing
        for number, (micro, weight) in enumerate(zip(micros, weights, strict=True)):
            with self._synchronised(number == len(micros) - 1):
                loss = self._through(self.loss_sum, micro) * (weight / batch["denominator"])
                # DDP and FSDP take the mean over processes where the global batch wants the sum.
                self.manual_backward(loss * self.trainer.world_size)
            total += loss.detach()
        if self.sharded is not None:
            self.sharded.exchange()
        if self.trainer.world_size > 1:
            total = self.trainer.strategy.reduce(total, reduce_op="sum")
        return total

    def _through(self, function: Callable[..., Result], *arguments: Any) -> Result:
        """Call a function that uses the network, sharded or not."""
        return function(*arguments) if self.sharded is None else self.sharded(function, *arguments)

    def _synchronised(self, last: bool) -> Any:
        """Exchange gradients with the other processes in the last micro batch alone."""
        if self.sharded is not None:
            self.sharded.before_backward(last=last)
        wrapped = self.trainer.strategy.model
        return wrapped.no_sync() if not last and isinstance(wrapped, DistributedDataParallel) else nullcontext()

    def measured(self) -> dict[str, float]:
        """What `validate` measures, on a network whose weights may be in parts."""
        if self.sharded is None:
            return self._fitting(self.validate)
        measured = self.sharded(self.validate)
        self.sharded.give_back()
        return measured

    def shared_out(self, items: int) -> Iterator[tuple[Tensor, float]]:
        """Numbers of what this process measures of so many items, micro batch by micro batch, and their weights.

        Which items are a process's does not depend on the micro batch, which may be another's half. Sharded processes
        gather weights together, so all get equally many micro batches: the first item once more, at weight 0.
        """
        world = self.trainer.world_size
        mine = torch.arange(items)[self.global_rank :: world].split(self.micro_batch)
        of_the_first = -(-items // world)
        for number in range(-(-of_the_first // self.micro_batch)):
            there = number < len(mine) and len(mine[number]) > 0
            yield (mine[number], 1.0) if there else (torch.zeros(1, dtype=torch.int64), 0.0)

    # What fits into memory.

    def _fitting(self, work: Callable[[], Result]) -> Result:
        """Do what can be begun anew, with half the micro batch whenever memory runs out."""
        carried = self.carried()
        while True:
            try:
                return work()
            except RuntimeError as error:
                if not out_of_memory(error):
                    raise
                self._halve_micro_batch(error)
            if self.global_rank == 0:
                print(f"  out of memory: going on with micro batches of {self.micro_batch}")
            # Only here, where the error's frames are gone, is the memory free.
            self.zero_grad(set_to_none=True)
            self.carry(carried)
            if self.device.type == "cuda":
                torch.cuda.empty_cache()

    def _halve_micro_batch(self, error: RuntimeError) -> None:
        if self.micro_batch == 1:
            raise UserError(
                f"{self.title}: one sequence at a time does not fit into the memory of this {self.device.type} device; "
                f"take a shorter {self.shorter}, a smaller `model`, `precision: bf16`, or `hardware: fsdp` on several"
            ) from error
        self.micro_batch = -(-self.micro_batch // 2)

    def try_micro_batch(self, batch: dict[str, Any]) -> None:
        """Find on each process what fits, before any waits for another; all take the smallest."""

        def attempt() -> None:
            with self._synchronised(last=False):
                self.manual_backward(self.loss_sum(next(iter(self.micro_batches(batch)))) * 0.0)

        carried = self.carried()
        self._fitting(attempt)
        self.carry(carried)
        self.zero_grad(set_to_none=True)
        found = torch.tensor(self.micro_batch, device=self.device)
        self.micro_batch = int(self.trainer.strategy.reduce(found, reduce_op="min"))
        self.tries = False
