"""The LightningModule of the first two stages: a language model on windows of a corpus."""

import math
from collections.abc import Iterator
from typing import Any

import torch
from torch import Tensor

from pipeline.config.language_model import LanguageModelConfig
from pipeline.models.transformer import Transformer
from pipeline.objectives.causal import windows_to_inputs_and_targets
from pipeline.objectives.cross_entropy import sum_cross_entropy
from pipeline.training.module import TrainingModule


class LanguageModelModule(TrainingModule):
    """Next-token prediction; reports loss in nats per token, perplexity and bits per byte."""

    network: Transformer
    config: LanguageModelConfig

    def __init__(
        self,
        network: Transformer,
        config: LanguageModelConfig,
        micro_batch: int,
        title: str,
        validation_NT1: Tensor,
        bytes_per_token: float,
    ) -> None:
        """`validation_NT1`: N windows of T + 1 tokens, read at each validation; N may be 0."""
        super().__init__(network, config, micro_batch, title)
        self.validation_NT1 = validation_NT1
        self.bytes_per_token = bytes_per_token

    def micro_batches(self, batch: dict[str, Any]) -> Iterator[tuple[Tensor, Tensor]]:
        """Windows (B, T + 1) and their dropout seeds (B)."""
        yield from zip(
            batch["windows_BT1"].split(self.micro_batch), batch["seeds_B"].split(self.micro_batch), strict=True
        )

    def loss_sum(self, micro: tuple[Tensor, Tensor]) -> Tensor:
        """Sum of -log p(token | those before it) over a micro batch, in nats."""
        windows_BT1, seeds_B = micro
        return self._nats(windows_BT1, seeds_B)

    def _nats(self, windows_BT1: Tensor, seeds_B: Tensor | None) -> Tensor:
        inputs_BT, targets_BT = windows_to_inputs_and_targets(windows_BT1)
        hidden_BTD = self.network(inputs_BT, seeds_B=seeds_B)
        return sum_cross_entropy(hidden_BTD.flatten(0, 1), self.network.output_matrix(), targets_BT.flatten())

    @torch.no_grad()
    def validate(self) -> dict[str, float]:
        """Mean loss over the validation windows, shared out over the ranks; nothing where there are none."""
        windows = len(self.validation_NT1)
        if not windows:
            return {}
        self.network.eval()
        total = torch.zeros(2, dtype=torch.float64, device="cpu" if self.device.type == "mps" else self.device)
        mine_NT1 = self.validation_NT1[self.global_rank :: self.trainer.world_size]
        with self.trainer.precision_plugin.forward_context():
            for micro_BT1 in mine_NT1.split(self.micro_batch):
                total[0] += self._nats(micro_BT1.to(self.device), None).to(total.device, torch.float64)
                total[1] += micro_BT1[:, 1:].numel()
        self.network.train()
        if self.trainer.world_size > 1:
            total = self.trainer.strategy.reduce(total, reduce_op="sum")
        loss = (total[0] / total[1]).item()
        return {"validation_loss": loss, "validation_bits_per_byte": bits_per_byte(loss, self.bytes_per_token)}


def bits_per_byte(loss: float, bytes_per_token: float) -> float:
    """Nats per token as bits per byte of UTF-8 text: comparable across tokenizers."""
    return loss / math.log(2) / bytes_per_token


def perplexity(loss: float) -> float:
    """exp(loss); the loss in nats per token."""
    return math.exp(min(loss, 700.0))
