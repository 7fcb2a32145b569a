"""Where a token stands: added to the embeddings, or turned into queries and keys; chosen by name."""

import math

import torch
from torch import Tensor, nn

from pipeline.models.settings import TransformerSettings
from pipeline.models.weights import Embedding

BASE = 10_000.0  # wavelengths of sinusoids and rotations: 2 pi to 2 pi x BASE tokens


class Positions(nn.Module):
    """No positions at all: a causal network still knows how many tokens it has seen (Haviv et al. 2022)."""

    def __init__(self, settings: TransformerSettings) -> None:
        super().__init__()

    def add(self, x_BTD: Tensor) -> Tensor:
        """Put positions into the embedded tokens, which have unit RMS."""
        return x_BTD

    def rotate(self, x_BTHK: Tensor) -> Tensor:
        """Put positions into queries or keys of `H` heads (any number of them)."""
        return x_BTHK


class Learned(Positions):
    """One trained vector for each position (Radford et al. 2018), half as long as a token's at first."""

    def __init__(self, settings: TransformerSettings) -> None:
        super().__init__(settings)
        self.scale = math.sqrt(settings.width)  # stored as the token embeddings are
        self.table = Embedding(settings.max_positions, settings.width, std=0.5 / self.scale)

    def add(self, x_BTD: Tensor) -> Tensor:
        """Add row t of the table to token t."""
        return x_BTD + self.table.weight[: x_BTD.size(1)] * self.scale  # (T, D)


class Sinusoidal(Positions):
    """Sines and cosines of geometrically spaced wavelengths (Vaswani et al. 2017, section 3.5)."""

    table_TD: Tensor

    def __init__(self, settings: TransformerSettings) -> None:
        super().__init__(settings)
        angles_TD = _angles(settings.max_positions, settings.width).repeat_interleave(2, dim=1)[:, : settings.width]
        even_D = torch.arange(settings.width) % 2 == 0
        self.register_buffer("table_TD", torch.where(even_D, angles_TD.sin(), angles_TD.cos()), persistent=False)

    def add(self, x_BTD: Tensor) -> Tensor:
        """Add row t of the table to token t."""
        return x_BTD + self.table_TD[: x_BTD.size(1)]


class Rotary(Positions):
    """Turn each pair of channels by an angle that grows with the position (Su et al. 2021, section 3.4).

    The product of a query and a key then depends on how far apart they are, not on where they stand. Pairs are
    (k, k + K/2).
    """

    cosine_T1K: Tensor
    sine_T1K: Tensor

    def __init__(self, settings: TransformerSettings) -> None:
        super().__init__(settings)
        angles_TK = _angles(settings.max_positions, settings.width // settings.heads)  # (T, K/2)
        cosine_TK, sine_TK = angles_TK.cos(), angles_TK.sin()
        self.register_buffer("cosine_T1K", torch.cat([cosine_TK, cosine_TK], 1).unsqueeze(1), persistent=False)
        self.register_buffer("sine_T1K", torch.cat([-sine_TK, sine_TK], 1).unsqueeze(1), persistent=False)

    def rotate(self, x_BTHK: Tensor) -> Tensor:
        """(a, b) -> (a cos - b sin, b cos + a sin) for each pair of channels."""
        T, K = x_BTHK.size(1), x_BTHK.size(-1)
        cosine_T1K, sine_T1K = self.cosine_T1K[:T].to(x_BTHK.dtype), self.sine_T1K[:T].to(x_BTHK.dtype)
        return torch.addcmul(x_BTHK * cosine_T1K, x_BTHK.roll(K // 2, -1), sine_T1K)


def _angles(positions: int, channels: int) -> Tensor:
    """Angle of each position (rows) for each pair of channels (columns), in radians; at least one pair."""
    frequencies_K = BASE ** (-torch.arange(0, channels, 2, dtype=torch.float64) / channels)
    return torch.outer(torch.arange(positions, dtype=torch.float64), frequencies_K).float()


POSITIONS: dict[str, type[Positions]] = {
    "none": Positions,
    "learned": Learned,
    "sinusoidal": Sinusoidal,
    "rotary": Rotary,
}
