"""What a network remembers between the tokens of one generation."""

import torch
from torch import Tensor, nn


class Cache:
    """The state of each layer after the tokens read so far: keys and values, or a state of constant size."""

    def __init__(self) -> None:
        # Tokens read so far: the position of the next one.
        self.length = 0
        # Of each module that needs one, tensors whose first dimension is the batch.
        self.states: dict[nn.Module, tuple[Tensor, ...]] = {}

    def extend(self, module: nn.Module, *new: Tensor) -> tuple[Tensor, ...]:
        """Put tensors (B, T, ...) behind those that `module` keeps along the second dimension; returns all of them."""
        if module in self.states:
            new = tuple(torch.cat(pair, dim=1) for pair in zip(self.states[module], new, strict=True))
        self.states[module] = new
        return new

    def select(self, rows_B: Tensor) -> None:
        """Keep these rows of the batch, in this order (one may appear several times): what a beam search needs."""
        self.states = {module: tuple(part[rows_B] for part in parts) for module, parts in self.states.items()}
