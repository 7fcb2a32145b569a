"""Fully sharded data parallelism: each process keeps a part of every weight, gradient and optimiser moment.

Zhao et al. 2023, "PyTorch FSDP", arXiv 2304.11277, in its second form: `fully_shard`, whose parameters are DTensors
that split their first dimension among the processes.
"""

from collections.abc import Callable
from typing import Any, TypeVar

import torch
from torch import Tensor, nn
from torch.distributed.device_mesh import DeviceMesh
from torch.distributed.fsdp import fully_shard
from torch.distributed.tensor import DTensor, distribute_tensor

from pipeline.models.awd_lstm import LSTMLayer
from pipeline.models.block import Block

Result = TypeVar("Result")
BLOCKS = (Block, LSTMLayer)


class Sharded(nn.Module):
    """The root of a sharded network: what it calls finds the weights outside the blocks gathered.

    Each block gathers its own weights when it is called. With `even` it gives them back each time, so that a process
    never holds the whole network: every process then has to go through it equally often. Without, the first pass of a
    step gathers them, further passes find them there, and `exchange` adds up gradients and gives them back.
    """

    def __init__(self, network: nn.Module, mesh: DeviceMesh, *, even: bool) -> None:
        super().__init__()
        self.even = even
        self.network = network
        for module in network.modules():
            if isinstance(module, BLOCKS):
                fully_shard(module, mesh=mesh, reshard_after_forward=even)
        fully_shard(self, mesh=mesh, reshard_after_forward=False)

    def forward(self, function: Callable[..., Result], *arguments: Any) -> Result:
        """Call a function that uses the network."""
        return function(*arguments)

    def before_backward(self, *, last: bool) -> None:
        """Say whether the next backward pass is the last of its step: gradients are added up over processes once."""
        now = last and self.even
        self.set_requires_gradient_sync(now)  # type: ignore[operator]
        self.set_reshard_after_backward(now or self.even)  # type: ignore[operator]

    def exchange(self) -> None:
        """End a step of uneven passes, which no process may add up in its own time: now all do."""
        if self.even:
            return
        self.set_requires_gradient_sync(True)  # type: ignore[operator]
        self.set_reshard_after_backward(True)  # type: ignore[operator]
        # A backward pass through nothing ends with what is left to do for every block.
        self(lambda: torch.zeros((), requires_grad=True) * 0).backward()

    def give_back(self) -> None:
        """Drop gathered weights behind passes without gradients: the next update would leave them as they are."""
        for module in self.modules():
            if module is self or isinstance(module, BLOCKS):
                module.reshard()  # type: ignore[operator]


def whole(tensor: Tensor) -> Tensor:
    """All of a tensor, wherever its parts are; every process has to ask for it at the same time."""
    return tensor.full_tensor() if isinstance(tensor, DTensor) else tensor


def gathered(state: Any, keep: bool) -> Any:
    """Nested dicts and lists with every tensor whole and on the CPU; None in their place unless `keep`."""
    if isinstance(state, dict):
        return {key: gathered(value, keep) for key, value in state.items()}
    if isinstance(state, list | tuple):
        return [gathered(value, keep) for value in state]
    if isinstance(state, Tensor):
        tensor = whole(state.detach())
        return tensor.cpu() if keep else None
    return state


def like(tensor: Tensor, parameter: Tensor) -> Tensor:
    """This process's part of a whole tensor that every process has, split as `parameter` is."""
    if not isinstance(parameter, DTensor):
        return tensor
    mesh, placements = parameter.device_mesh, parameter.placements
    return distribute_tensor(tensor.to(parameter.device), mesh, placements, src_data_rank=None)


def split_state(optimizer: torch.optim.Optimizer) -> None:
    """Split the moments of a loaded state as their parameters are split."""
    for parameter, state in optimizer.state.items():
        for name, value in state.items():
            if isinstance(value, Tensor) and value.shape == parameter.shape:
                state[name] = like(value, parameter)
