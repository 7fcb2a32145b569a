"""The LightningModule of the first two stages: a language model on windows of a corpus."""

import math
from collections.abc import Iterator
from typing import Any

import torch
from torch import Tensor, nn

from pipeline.config.language_model import LanguageModelConfig
from pipeline.language_model.carry import CarriedLosses
from pipeline.language_model.losses import Losses
from pipeline.training.module import TrainingModule


class LanguageModelModule(TrainingModule):
    """Training by an objective; reports loss in nats per target and, where it means something, bits per byte."""

    config: LanguageModelConfig
    trains = ("network", "losses")

    def __init__(
        self,
        network: nn.Module,
        losses: Losses,
        config: LanguageModelConfig,
        micro_batch: int,
        title: str,
        validation: tuple[Tensor, Tensor],
        bytes_per_token: float,
    ) -> None:
        """`validation`: N windows (N, T + 1), read at each validation, and their seeds (N); N may be 0."""
        super().__init__(network, config, micro_batch, title)
        self.losses = losses
        self.validation_NT1, self.validation_seeds_N = validation
        self.bytes_per_token = bytes_per_token

    def micro_batches(self, batch: dict[str, Any]) -> Iterator[tuple[Tensor, Tensor]]:
        """Windows (B, T + 1) and their seeds (B)."""
        if isinstance(self.losses, CarriedLosses):
            self.losses.begin_step()
        yield from zip(
            batch["windows_BT1"].split(self.micro_batch), batch["seeds_B"].split(self.micro_batch), strict=True
        )

    def loss_sum(self, micro: tuple[Tensor, Tensor]) -> Tensor:
        """Sum of the objective's loss over a micro batch, in nats."""
        windows_BT1, seeds_B = micro
        return self.losses.loss_sum(windows_BT1, seeds_B)

    def even(self) -> bool:
        """Each window is one pass, but for rows that are read in two ways and for a state that only real rows have."""
        return not isinstance(self.losses, CarriedLosses) and self.config.objective != "hybrid"

    def carried(self) -> list[Tensor]:
        """The state that windows go on from."""
        return list(self.losses.state) if isinstance(self.losses, CarriedLosses) else []

    def carry(self, state: list[Tensor]) -> None:
        """Go on from there again."""
        if isinstance(self.losses, CarriedLosses):
            self.losses.state = list(state)

    def extra_state(self) -> list[Tensor]:
        """What the network carries from step to step."""
        carries = isinstance(self.losses, CarriedLosses)
        return self.losses.gathered(self.trainer.world_size) if carries else []  # type: ignore[attr-defined]

    def load_extra_state(self, state: list[Tensor], rank: int, world: int) -> None:
        """Carry on from there."""
        if isinstance(self.losses, CarriedLosses):
            self.losses.restore(state, rank, world)

    @torch.no_grad()
    def validate(self) -> dict[str, float]:
        """Mean loss over the validation windows, shared out over the ranks; nothing where there are none."""
        if not len(self.validation_NT1):
            return {}
        self.network.eval()
        total = torch.zeros(2, dtype=torch.float64, device="cpu" if self.device.type == "mps" else self.device)
        with self.trainer.precision_plugin.forward_context():
            for numbers, weight in self.shared_out(len(self.validation_NT1)):
                windows_BT1, seeds_B = self.validation_NT1[numbers], self.validation_seeds_N[numbers]
                sums = self.losses.measured_sum(windows_BT1.to(self.device), seeds_B.to(self.device))
                total += weight * torch.stack([part.to(total.device, torch.float64) for part in sums])
        self.network.train()
        if self.trainer.world_size > 1:
            total = self.trainer.strategy.reduce(total, reduce_op="sum")
        loss = (total[0] / total[1]).item()
        measured = {"validation_loss": loss}
        if self.losses.per_byte:
            measured["validation_bits_per_byte"] = bits_per_byte(loss, self.bytes_per_token)
        return measured


def bits_per_byte(loss: float, bytes_per_token: float) -> float:
    """Nats per token as bits per byte of UTF-8 text: comparable across tokenizers."""
    return loss / math.log(2) / bytes_per_token


def perplexity(loss: float) -> float:
    """exp(loss); the loss in nats per token."""
    return math.exp(min(loss, 700.0))
