"""The LightningModule of the third stage: a classifier on batches of documents of similar length."""

from collections.abc import Iterator
from typing import Any

import torch
from torch import Tensor

from pipeline.classifier.data import LabelledDocuments
from pipeline.classifier.loss import guess_loss, sum_loss
from pipeline.classifier.network import ClassifierNetwork
from pipeline.config.classifier import ClassifierConfig
from pipeline.training.module import TrainingModule


class ClassifierModule(TrainingModule):
    """Cross entropy over documents; measures loss and accuracy on the validation documents, where there are any."""

    network: ClassifierNetwork
    config: ClassifierConfig
    shorter = "`chunk_tokens` or fewer `gradient_chunks`"

    def __init__(
        self,
        network: ClassifierNetwork,
        config: ClassifierConfig,
        micro_batch: int,
        title: str,
        validation: LabelledDocuments,
        class_weights: Tensor | None,
        guessed: bool = False,
    ) -> None:
        super().__init__(network, config, micro_batch, title)
        self.validation, self.guessed = validation, guessed
        self.class_weights: Tensor | None
        self.register_buffer("class_weights", class_weights, persistent=False)

    def micro_batches(self, batch: dict[str, Any]) -> Iterator[dict[str, Tensor]]:
        """The share arrives cut already, each part padded to its own longest document, or is cut further."""
        for part in batch["micro_batches"]:
            pieces = (tensor.split(self.micro_batch) for tensor in part.values())
            yield from (dict(zip(part, piece, strict=True)) for piece in zip(*pieces, strict=True))

    def loss_sum(self, micro: dict[str, Tensor]) -> Tensor:
        """Sum of the documents' losses, weighted by class if the config asks for it and the labels are no guesses."""
        logits_BC = self.network(micro["tokens_BT"], micro["lengths_B"], seeds_B=micro["seeds_B"])
        if self.guessed:
            return guess_loss(logits_BC, micro["targets"])
        return sum_loss(
            logits_BC, micro["targets"], label_smoothing=self.config.label_smoothing, weights=self.class_weights
        )

    @torch.no_grad()
    def validate(self) -> dict[str, float]:
        """Loss and accuracy (for several labels a document: all of them right) on the validation documents."""
        if not len(self.validation):
            return {}
        self.network.eval()
        total = torch.zeros(3, device=self.device)
        order = self.validation.by_length()
        with self.trainer.precision_plugin.forward_context():
            for places, weight in self.shared_out(len(order)):
                micro = self.validation.batch(order[places.numpy()], self.network.reading)
                targets = micro["targets"].to(self.device)
                logits_BC = self.network(micro["tokens_BT"].to(self.device), micro["lengths_B"].to(self.device))
                total[0] += weight * sum_loss(logits_BC, targets)
                total[1] += weight * _right(logits_BC, targets)
                total[2] += weight * len(targets)
        self.network.train()
        if self.trainer.world_size > 1:
            total = self.trainer.strategy.reduce(total, reduce_op="sum")
        return {"validation_loss": (total[0] / total[2]).item(), "validation_accuracy": (total[1] / total[2]).item()}


def _right(logits_BC: Tensor, targets: Tensor) -> Tensor:
    """Documents whose label, or whose every label, is predicted."""
    if targets.dim() == 1:
        return (logits_BC.argmax(dim=1) == targets).sum()
    return ((logits_BC > 0) == (targets > 0)).all(dim=1).sum()
