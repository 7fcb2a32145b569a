"""Where a token stands: added to the embeddings, turned into queries and keys, or added to scores; chosen by name."""

import math

import torch
from torch import Tensor, nn

from pipeline.models.settings import TransformerSettings
from pipeline.models.weights import Embedding, inner_std

BASE = 10_000.0  # wavelengths of sinusoids: 2 pi to 2 pi x BASE tokens
# Of T5 (Raffel et al. 2020, section 2.1): distances fall into this many buckets, the last for all beyond FARTHEST.
BUCKETS, FARTHEST = 32, 128


class Positions(nn.Module):
    """No positions at all: a causal network still knows how many tokens it has seen (Haviv et al. 2022)."""

    def __init__(self, settings: TransformerSettings) -> None:
        super().__init__()

    def add(self, x_BTE: Tensor, offset: int = 0) -> Tensor:
        """Put positions into the embedded tokens; the first of them stands at `offset`."""
        return x_BTE

    def rotate(self, x_BTHK: Tensor, offset: int = 0) -> Tensor:
        """Put positions into queries or keys of `H` heads (any number of them)."""
        return x_BTHK

    def bias(self, queries: int, offset: int = 0) -> Tensor | None:
        """What is added to the scores of T queries at `offset` over all S = offset + T keys: (1, H, T, S), or None."""
        return None


class Learned(Positions):
    """One trained vector for each position (Radford et al. 2018), half as long as a token's at first."""

    def __init__(self, settings: TransformerSettings) -> None:
        super().__init__(settings)
        self.scale = math.sqrt(settings.token_width) if settings.scale_embeddings else 1.0  # as token embeddings are
        std = 0.5 / self.scale if settings.scale_embeddings else inner_std(settings)
        self.table = Embedding(settings.max_positions, settings.token_width, std=std)

    def add(self, x_BTE: Tensor, offset: int = 0) -> Tensor:
        """Add row t of the table to token t."""
        return x_BTE + self.table.weight[offset : offset + x_BTE.size(1)] * self.scale  # (T, E)


class Sinusoidal(Positions):
    """Sines and cosines of geometrically spaced wavelengths (Vaswani et al. 2017, section 3.5)."""

    table_TE: Tensor

    def __init__(self, settings: TransformerSettings) -> None:
        super().__init__(settings)
        E = settings.token_width
        angles_TE = angles(torch.arange(settings.max_positions), E).repeat_interleave(2, dim=1)[:, :E]
        table_TE = torch.where(torch.arange(E) % 2 == 0, angles_TE.sin(), angles_TE.cos())
        self.register_buffer("table_TE", table_TE, persistent=False)

    def add(self, x_BTE: Tensor, offset: int = 0) -> Tensor:
        """Add row t of the table to token t."""
        return x_BTE + self.table_TE[offset : offset + x_BTE.size(1)]


class Rotary(Positions):
    """Turn each pair of channels by an angle that grows with the position (Su et al. 2021, section 3.4).

    The product of a query and a key then depends on how far apart they are, not on where they stand. Pairs are
    (k, k + K/2).
    """

    cosine_T1K: Tensor
    sine_T1K: Tensor

    def __init__(self, settings: TransformerSettings) -> None:
        super().__init__(settings)
        angles_TK = angles(torch.arange(settings.max_positions), settings.key_width, settings.rotary_base)  # (T, K/2)
        cosine_TK, sine_TK = angles_TK.cos(), angles_TK.sin()
        self.register_buffer("cosine_T1K", torch.cat([cosine_TK, cosine_TK], 1).unsqueeze(1), persistent=False)
        self.register_buffer("sine_T1K", torch.cat([-sine_TK, sine_TK], 1).unsqueeze(1), persistent=False)

    def rotate(self, x_BTHK: Tensor, offset: int = 0) -> Tensor:
        """(a, b) -> (a cos - b sin, b cos + a sin) for each pair of channels."""
        K, here = x_BTHK.size(-1), slice(offset, offset + x_BTHK.size(1))
        cosine_T1K, sine_T1K = self.cosine_T1K[here].to(x_BTHK.dtype), self.sine_T1K[here].to(x_BTHK.dtype)
        return torch.addcmul(x_BTHK * cosine_T1K, x_BTHK.roll(K // 2, -1), sine_T1K)


class ALiBi(Positions):
    """Scores fall linearly with the distance, at a slope of each head's own (Press et al. 2022)."""

    slopes_H: Tensor

    def __init__(self, settings: TransformerSettings) -> None:
        super().__init__(settings)
        self.register_buffer("slopes_H", _slopes(settings.heads), persistent=False)

    def bias(self, queries: int, offset: int = 0) -> Tensor:
        """-slope * distance, on both sides where a token sees both."""
        distance_TS = distances(queries, offset, self.slopes_H.device)
        return -self.slopes_H[None, :, None, None] * distance_TS.abs()


class T5Bias(Positions):
    """A learned number for each head and range of distances, shared by all layers (Raffel et al. 2020, section 2.1)."""

    def __init__(self, settings: TransformerSettings) -> None:
        super().__init__(settings)
        self.both_sides = settings.family == "encoder"
        self.table = Embedding(BUCKETS, settings.heads, std=inner_std(settings))

    def bias(self, queries: int, offset: int = 0) -> Tensor:
        """The table's rows for the distances between queries and keys."""
        distance_TS = distances(queries, offset, self.table.weight.device)
        return self.table(bucket(distance_TS, self.both_sides)).permute(2, 0, 1)[None]  # (1, H, T, S)


def bucket(distance_TS: Tensor, both_sides: bool) -> Tensor:
    """Number of each distance's bucket: one each for half of them, then logarithmically wider ones.

    `distance_TS` is the query's position minus the key's. Seeing both sides, the upper half of the buckets is for keys
    that follow; else all that follow share the bucket of distance zero.
    """
    buckets, beyond = BUCKETS, torch.zeros_like(distance_TS)
    if both_sides:
        buckets //= 2
        beyond = (distance_TS < 0) * buckets
        distance_TS = distance_TS.abs()
    distance_TS = distance_TS.clamp(min=0)
    exact = buckets // 2
    wide = torch.log(distance_TS.clamp(min=1).float() / exact) / math.log(FARTHEST / exact) * (buckets - exact)
    wide_TS = (exact + wide.long()).clamp(max=buckets - 1)
    return beyond + torch.where(distance_TS < exact, distance_TS, wide_TS)


def distances(queries: int, offset: int, device: torch.device) -> Tensor:
    """Position of each query (rows, from `offset` on) minus that of each key (columns, from 0): int64 (T, S)."""
    keys_S = torch.arange(offset + queries, device=device)
    return keys_S[offset:, None] - keys_S


def angles(positions_T: Tensor, channels: int, base: float = BASE) -> Tensor:
    """Angle of each position (rows) for each pair of channels (columns), in radians; at least one pair."""
    frequencies_K = base ** (-torch.arange(0, channels, 2, dtype=torch.float64, device=positions_T.device) / channels)
    return torch.outer(positions_T.double(), frequencies_K).float()


def _slopes(heads: int) -> Tensor:
    """2^(-8/H), 2^(-16/H), ...; for H no power of two, those of the next lower one and every other of the next."""
    lower = 2 ** int(math.log2(heads))
    exponents = [8 * (h + 1) / lower for h in range(lower)] + [4 * (2 * h + 1) / lower for h in range(heads - lower)]
    return torch.tensor([2.0**-exponent for exponent in exponents])


POSITIONS: dict[str, type[Positions]] = {
    "none": Positions,
    "learned": Learned,
    "sinusoidal": Sinusoidal,
    "rotary": Rotary,
    "alibi": ALiBi,
    "t5": T5Bias,
    "transformer_xl": Positions,  # each layer of attention has its own: relative.py
}
