"""Linear layers and embeddings that know how they start, and the one function that draws their first values."""

import math

import numpy as np
import torch
from torch import nn

from pipeline.models.settings import TransformerSettings


class Linear(nn.Linear):
    """`nn.Linear` whose weights come from `initialise` or from a file; until then they are not set."""

    weight: nn.Parameter

    def __init__(self, inputs: int, outputs: int, *, bias: bool, std: float) -> None:
        self.std = std
        super().__init__(inputs, outputs, bias=bias)

    def reset_parameters(self) -> None:
        """Draw nothing: the constructor must not touch the global random state."""


class Embedding(nn.Embedding):
    """`nn.Embedding` whose weights come from `initialise` or from a file; until then they are not set."""

    def __init__(self, rows: int, width: int, *, std: float) -> None:
        self.std = std
        super().__init__(rows, width)

    def reset_parameters(self) -> None:
        """Draw nothing: the constructor must not touch the global random state."""


def inner_std(settings: TransformerSettings) -> float:
    """Start of the matrices inside the blocks: GPT-2's 0.02, which belongs to its width of 768, at any width."""
    return 0.02 * math.sqrt(768 / settings.width)


def residual_std(settings: TransformerSettings) -> float:
    """Start of the last matrix of each sub-layer: zero, or smaller by sqrt(2 x layers) as 2 x layers of them add up.

    Radford et al. 2019, section 2.3; zero makes each block the identity at first. Where each sum is normalised nothing
    adds up. A block that attends to an encoder too has a third sub-layer, which is not counted.
    """
    if settings.zero_init:
        return 0.0
    return inner_std(settings) / (1 if settings.placement == "post" else math.sqrt(2 * settings.layers))


@torch.no_grad()
def initialise(model: nn.Module, seed: int) -> None:
    """Draw every `Linear` and `Embedding` of `model` from N(0, std^2), biases zero; norms are made as they start.

    The numbers are NumPy's: torch's normal draws differ in the last bits between processors' instruction sets, and
    another generator on a GPU. On the meta device there is nothing to draw.
    """
    generator = np.random.Generator(np.random.PCG64(seed))
    for module in model.modules():
        if isinstance(module, (Linear, Embedding)) and not module.weight.is_meta:
            noise = generator.standard_normal(tuple(module.weight.shape), dtype=np.float32)
            module.weight.copy_(torch.from_numpy(noise).mul_(module.std))
        if isinstance(module, Linear) and module.bias is not None:
            module.bias.zero_()
