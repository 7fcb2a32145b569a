"""What a language model is asked about windows of text, as the sums that training and validation take."""

from typing import Protocol

import torch
from torch import Tensor

from pipeline.models.build import Network
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
    """Cross entropy of the tokens that an objective asks for."""

    def __init__(self, network: Network, objective: Objective) -> None:
        self.network, self.objective = network, objective
        self.per_byte = objective.per_byte

    def targets(self, length: int) -> float:
        """Targets of one window of `length` + 1 tokens."""
        return self.objective.targets(length)

    def loss_sum(self, windows_BT1: Tensor, seeds_B: Tensor) -> Tensor:
        """Sum of -log p(target) over the objective's examples."""
        examples = self.objective.examples(windows_BT1, seeds_B)
        sums = [nats(self.network, example, seeds_B) for example in examples]
        return torch.stack(sums).sum()

    def measured_sum(self, windows_BT1: Tensor, seeds_B: Tensor) -> tuple[Tensor, Tensor]:
        """The same over what the objective measures, and the number of targets."""
        examples = self.objective.measured(windows_BT1, seeds_B)
        sums = [nats(self.network, example, seeds_B) for example in examples]
        counts = [(example.targets_BT != IGNORED).sum() for example in examples]
        return torch.stack(sums).sum(), torch.stack(counts).sum()


def nats(network: Network, example: Example, seeds_B: Tensor) -> Tensor:
    """Sum of -log p(target) over one example; `seeds_B` are those of the windows it was made from."""
    hidden_BTD = read(network, example, seeds_B[example.rows_B])
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
