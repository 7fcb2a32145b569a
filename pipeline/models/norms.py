"""Normalisation over the last dimension, chosen by name."""

from collections.abc import Callable

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from pipeline.models.settings import TransformerSettings


class LayerNorm(nn.Module):
    """(x - mean) / sqrt(variance + epsilon) * weight + bias (Ba et al. 2016); `bias` may be left out."""

    def __init__(self, width: int, epsilon: float, bias: bool) -> None:
        super().__init__()
        self.epsilon = epsilon
        self.weight = nn.Parameter(torch.ones(width))
        self.bias = nn.Parameter(torch.zeros(width)) if bias else None

    def forward(self, x: Tensor) -> Tensor:
        """Normalise `x` (..., width)."""
        return F.layer_norm(x, self.weight.shape, self.weight, self.bias, self.epsilon)


class RMSNorm(nn.Module):
    """x / sqrt(mean(x^2) + epsilon) * weight (Zhang & Sennrich 2019); it has no bias."""

    def __init__(self, width: int, epsilon: float, bias: bool) -> None:
        super().__init__()
        self.epsilon = epsilon
        self.weight = nn.Parameter(torch.ones(width))

    def forward(self, x: Tensor) -> Tensor:
        """Normalise `x` (..., width)."""
        return F.rms_norm(x, self.weight.shape, self.weight.to(x.dtype), self.epsilon)  # one dtype: the fused kernel


NORMS: dict[str, Callable[[int, float, bool], nn.Module]] = {"layernorm": LayerNorm, "rmsnorm": RMSNorm}


def norm(settings: TransformerSettings, width: int | None = None) -> nn.Module:
    """The norm that the settings name, over `width` channels (the stream's, unless told)."""
    return NORMS[settings.norm](width or settings.width, settings.norm_epsilon, settings.bias)
