"""What a language model is asked about windows of text, as the sums that training and validation take."""

from typing import Protocol

import torch
from torch import Tensor

from pipeline.models.build import Network
from pipeline.objectives.bag_of_words import BagOfWords
from pipeline.objectives.cross_entropy import IGNORED, sum_cross_entropy
from pipeline.objectives.example import Example, Objective


class Losses(Protocol):
    """Sums of losses over windows (B, T + 1); `seeds_B` decides dropout and the objective's noise."""

    per_byte: bool

    def targets(self, length: int) -> float:
        """Targets of one window; a step's loss is its sum over this times its windows."""
        ...

    def loss_sum(self, windows_BT1: Tensor, seeds_B: Tensor) -> Tensor:
        """What training goes down on, in nats: a scalar with a gradient."""
        ...

    def measured_sum(self, windows_BT1: Tensor, seeds_B: Tensor) -> tuple[Tensor, Tensor]:
        """What validation reports, in nats, and of how many targets."""
        ...


class PredictionLosses:
    """Cross entropy of the tokens that an objective asks for, and perhaps of the words of each document's rest."""

    def __init__(
        self, network: Network, objective: Objective, words: BagOfWords | None = None, weight: float = 0.0
    ) -> None:
        """`words`: is trained on beside the objective with this weight, and not measured."""
        self.network, self.objective = network, objective
        self.words, self.weight = words, weight
        self.per_byte = objective.per_byte

    def targets(self, length: int) -> float:
        """Targets of one window of `length` + 1 tokens."""
        return self.objective.targets(length)

    def loss_sum(self, windows_BT1: Tensor, seeds_B: Tensor) -> Tensor:
        """Sum of -log p(target) over the objective's examples; the gradient is also that of the words."""
        sums = []
        for example in self.objective.examples(windows_BT1, seeds_B):
            row_seeds_B = seeds_B[example.rows_B]
            hidden_BTD = read(self.network, example, row_seeds_B)
            sums.append(nats(self.network, example, hidden_BTD))
            if self.words is not None:
                asked = self.words.loss_sum(self.network, hidden_BTD, example.inputs_BT, row_seeds_B)
                sums.append(
                    self.weight * (asked - asked.detach())
                )  # trains, and leaves the loss what validation reports
        return torch.stack(sums).sum()

    def measured_sum(self, windows_BT1: Tensor, seeds_B: Tensor) -> tuple[Tensor, Tensor]:
        """The same over what the objective measures, and the number of targets."""
        examples = self.objective.measured(windows_BT1, seeds_B)
        hidden = (read(self.network, example, seeds_B[example.rows_B]) for example in examples)
        sums = [nats(self.network, example, hidden_BTD) for example, hidden_BTD in zip(examples, hidden, strict=True)]
        counts = [(example.targets_BT != IGNORED).sum() for example in examples]
        return torch.stack(sums).sum(), torch.stack(counts).sum()


def nats(network: Network, example: Example, hidden_BTD: Tensor) -> Tensor:
    """Sum of -log p(target) over one example, from what `read` made of it."""
    hidden_ND, targets_N = hidden_BTD.flatten(0, 1), example.targets_BT.flatten()
    if not example.causal:  # few tokens are asked for: the others need no scores
        asked_N = targets_N != IGNORED
        hidden_ND, targets_N = hidden_ND[asked_N], targets_N[asked_N]
    read_NE, matrix_VE = network.readout(hidden_ND), network.output_matrix()
    return example.weight * sum_cross_entropy(read_NE, matrix_VE, targets_N, bias_V=network.output_bias)


def read(network: Network, example: Example, seeds_B: Tensor | None) -> Tensor:
    """Hidden states (B, T, D) of an example's inputs."""
    if example.source_BS is not None:
        return network(example.inputs_BT, source_BS=example.source_BS, seeds_B=seeds_B)
    return network(example.inputs_BT, causal=example.causal, prefix_B=example.prefix_B, seeds_B=seeds_B)
