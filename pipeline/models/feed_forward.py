"""The feed-forward layer: each token by itself, through a wider space; chosen by the name of its activation."""

from collections.abc import Callable
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.autograd.function import once_differentiable

from pipeline.models.settings import TransformerSettings
from pipeline.models.weights import Linear, inner_std, residual_std


class _SquaredReLU(torch.autograd.Function):
    """Half the passes over memory of `relu(x).square()`: its gradient 2 max(x, 0) needs no second mask."""

    @staticmethod
    def forward(ctx: Any, x: Tensor) -> Tensor:
        positive = F.relu(x)
        ctx.save_for_backward(positive)
        return positive.square()

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, gradient: Tensor) -> Tensor:
        (positive,) = ctx.saved_tensors
        return torch.addcmul(gradient.new_zeros(()), positive, gradient, value=2)


def squared_relu(x: Tensor) -> Tensor:
    """max(x, 0)^2 (So et al. 2021, "Primer")."""
    if torch.is_grad_enabled():
        return _SquaredReLU.apply(x)
    return F.relu(x).square_()  # nobody asks for the root again: in place, which spares the memory of another tensor


def gelu_tanh(x: Tensor) -> Tensor:
    """The approximation of GELU by tanh (Hendrycks & Gimpel 2016), which GPT and GPT-2 are trained with."""
    return F.gelu(x, approximate="tanh")


def swiglu(x: Tensor) -> Tensor:
    """silu(gate) * value, of the two halves of the last dimension (Shazeer 2020)."""
    gate, value = x.chunk(2, -1)
    return F.silu(gate) * value


def geglu(x: Tensor) -> Tensor:
    """gelu(gate) * value, of the two halves of the last dimension (Shazeer 2020)."""
    gate, value = x.chunk(2, -1)
    return F.gelu(gate) * value


def geglu_tanh(x: Tensor) -> Tensor:
    """`geglu` with `gelu_tanh`: T5 version 1.1."""
    gate, value = x.chunk(2, -1)
    return gelu_tanh(gate) * value


ACTIVATIONS: dict[str, Callable[[Tensor], Tensor]] = {
    "relu": torch.relu,
    "gelu": F.gelu,
    "gelu_tanh": gelu_tanh,
    "squared_relu": squared_relu,
    "swiglu": swiglu,
    "geglu": geglu,
    "geglu_tanh": geglu_tanh,
}
GATED = {"swiglu", "geglu", "geglu_tanh"}  # take twice the width that they give


class FeedForward(nn.Module):
    """down(activation(up(x))) (Vaswani et al. 2017, section 3.3)."""

    def __init__(self, settings: TransformerSettings) -> None:
        super().__init__()
        D, F_ = settings.width, settings.feedforward
        self.activation = ACTIVATIONS[settings.activation]
        inner = 2 * F_ if settings.activation in GATED else F_
        self.up = Linear(D, inner, bias=settings.bias, std=inner_std(settings))
        self.down = Linear(F_, D, bias=settings.bias, std=residual_std(settings))

    def forward(self, x_BTD: Tensor) -> Tensor:
        """Each token's vector to a new one, (B, T, D)."""
        h_BTF = self.activation(self.up(x_BTD))
        return self.down(h_BTF)
