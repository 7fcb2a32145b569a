"""Single parts of a training step against what else does the same: processor seconds, which other work disturbs little.

python -m benchmarks.speed.parts
"""

import time
from collections.abc import Callable
from statistics import median
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from benchmarks.common import machine, machine_line, print_table
from benchmarks.speed.pairs import keep, options
from pipeline.base.process import run_stage
from pipeline.config.training import TrainingConfig
from pipeline.models.feed_forward import squared_relu
from pipeline.objectives.cross_entropy import sum_cross_entropy
from pipeline.training.groups import parameter_groups
from pipeline.training.optimiser import MuonAdamW

NAME = "parts"
N, D, INNER, V = 4096, 256, 1024, 8192


def losses(hidden_ND: Tensor, matrix_VD: Tensor, targets_N: Tensor) -> dict[str, Callable[[], Tensor]]:
    """Ways to the loss of a step; ours first."""
    ways = {
        f"ours, chunks of {chunk}": lambda chunk=chunk: sum_cross_entropy(hidden_ND, matrix_VD, targets_N, chunk)
        for chunk in (512, 256, 1024)
    }
    ways["all scores at once"] = lambda: F.cross_entropy(hidden_ND @ matrix_VD.T, targets_N, reduction="sum")
    if hasattr(F, "linear_cross_entropy"):
        chunked = torch.nn.LinearCrossEntropyOptions()
        ways["torch, linear_cross_entropy"] = lambda: F.linear_cross_entropy(
            hidden_ND, matrix_VD, targets_N, reduction="sum", options=chunked
        )
    return ways


def activations(x_NF: Tensor, gradient_NF: Tensor) -> dict[str, Callable[[], Tensor]]:
    """Ways to max(x, 0)^2; ours first."""
    return {
        "ours, squared ReLU": lambda: (squared_relu(x_NF) * gradient_NF).sum(),
        "relu(x).square()": lambda: (F.relu(x_NF).square() * gradient_NF).sum(),
    }


def updates(matrix_VD: Tensor) -> dict[str, Callable[[], Any]]:
    """Ways to AdamW's update of the embeddings; ours first."""

    def copy() -> Tensor:
        one = torch.nn.Parameter(matrix_VD.detach().clone())
        one.grad = torch.ones_like(one)
        return one

    config = TrainingConfig(learning_rate=1e-3)
    ours = MuonAdamW(parameter_groups([("embeddings", [copy()])], [], config), config.beta1, config.beta2)
    loops = {"AdamW, foreach": {"foreach": True}, "AdamW, a tensor at a time": {"foreach": False}}
    return {"ours, AdamW": ours.step} | {name: torch.optim.AdamW([copy()], **how).step for name, how in loops.items()}


def with_gradients(ways: dict[str, Callable[[], Tensor]]) -> dict[str, Callable[[], Any]]:
    """Each with its backward pass."""
    return {name: lambda way=way: way().backward() for name, way in ways.items()}


def seconds(ways: dict[str, Callable[[], Any]], rounds: int) -> dict[str, dict[str, Any]]:
    """Processor seconds of each in alternation; and the ratio of each to the first."""
    spent: dict[str, list[float]] = {name: [] for name in ways}
    for number in range(rounds + 1):
        for name, way in ways.items():
            started = time.process_time()
            way()
            if number:  # the first round warms up
                spent[name].append(time.process_time() - started)
    first = next(iter(spent.values()))
    return {
        name: {
            "seconds": median(each),
            "to_the_first": median(other / own for own, other in zip(first, each, strict=True)),
        }
        for name, each in spent.items()
    }


def main(*words: str) -> None:
    """Print the table."""
    wanted = options(NAME, __doc__).parse_args(words)
    before, generator = machine(), torch.Generator().manual_seed(1)
    hidden_ND = torch.randn(N, D, generator=generator).requires_grad_()
    matrix_VD = (torch.randn(V, D, generator=generator) / 16).requires_grad_()
    targets_N = torch.randint(0, V, (N,), generator=generator)
    x_NF = torch.randn(N, INNER, generator=generator).requires_grad_()
    gradient_NF = torch.randn(N, INNER, generator=generator)
    ways = losses(hidden_ND, matrix_VD, targets_N), activations(x_NF, gradient_NF)
    found = {name: row for some in ways for name, row in seconds(with_gradients(some), wanted.rounds).items()}
    found |= seconds(updates(matrix_VD), wanted.rounds)
    rows = [(name, row["seconds"], f"{row['to_the_first']:.2f}") for name, row in found.items()]
    print_table(("part, forward and backward, or update", "processor seconds", "of the first"), rows)
    print(machine_line(before))
    keep(NAME, "parts", {"machine": before, "rows": found})


if __name__ == "__main__":
    run_stage(main, trains=True)
