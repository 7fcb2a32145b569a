"""Performer: softmax attention estimated by positive random features (FAVOR+, Choromanski et al. 2021)."""

import math

import numpy as np
import torch
from torch import Tensor

from pipeline.models.chunked import weighted_sums
from pipeline.models.context import Context
from pipeline.models.linear_attention import SMALLEST, LinearAttention, nothing_read, states_before, turned_heads
from pipeline.models.settings import TransformerSettings

SEED = 20090914  # of the random features, which are no weights and never redrawn: equal in every network


class Performer(LinearAttention):
    """Linear attention with phi(x) = exp(W x' - |x'|^2 / 2) / sqrt(M), x' = x / K^(1/4) (lemma 1).

    The mean of phi(q) phi(k) over the random rows of W is exp(q k / sqrt(K)). Rows are orthogonal in blocks of K,
    which lowers the variance (section 3.2), and keep the lengths of Gaussian vectors.
    """

    projection_HMK: Tensor

    def __init__(self, settings: TransformerSettings) -> None:
        super().__init__(settings)
        random = np.random.Generator(np.random.PCG64(SEED))
        rows = [orthogonal_rows(settings.features, settings.key_width, random) for _ in range(settings.heads)]
        projection_HMK = torch.tensor(np.stack(rows), dtype=torch.float32)
        self.register_buffer("projection_HMK", projection_HMK, persistent=False)

    def features(self, x_BHTK: Tensor) -> tuple[Tensor, Tensor]:
        """phi(x) in two factors, as fp32 is too narrow for it: features of at most 1, and exp of a (B, H, T).

        Exponents fall with the square of x, to -256 for heads of 64 with RMS 8. Where the second factor is each query's
        own it cancels out; of keys it is their weight. It gets no gradient: that of the first is the whole.
        """
        x_BHTK = x_BHTK * x_BHTK.size(-1) ** -0.25
        projected_BHTM = x_BHTK @ self.projection_HMK.to(x_BHTK.dtype).mT
        exponents_BHTM = projected_BHTM - x_BHTK.square().sum(dim=-1, keepdim=True) / 2
        highest_BHT1 = exponents_BHTM.detach().amax(dim=-1, keepdim=True)
        log_BHT = highest_BHT1[..., 0] - math.log(self.projection_HMK.size(1)) / 2
        return (exponents_BHTM - highest_BHT1).exp(), log_BHT

    def _mix(self, q_BHTK: Tensor, k_BHTK: Tensor, v_BHTK: Tensor, context: Context) -> Tensor:
        """As in softmax attention, which it estimates, positions turn queries and keys, not their features."""
        (q_BHTM, _), (k_BHTM, log_BHT) = (
            self.features(turned_heads(part_BHTK, context)) for part_BHTK in (q_BHTK, k_BHTK)
        )
        v_BHTV = torch.cat([v_BHTK, torch.ones_like(v_BHTK[..., :1])], dim=-1)  # the denominator is one value more
        sums = self._before_each if context.causal else _all
        sums_BHTV = sums(q_BHTM, k_BHTM, v_BHTV, log_BHT, context)
        return sums_BHTV[..., :-1] / sums_BHTV[..., -1:].clamp(min=SMALLEST)

    def _before_each(self, q_BHTM: Tensor, k_BHTM: Tensor, v_BHTV: Tensor, log_BHT: Tensor, context: Context) -> Tensor:
        """Sums (B, H, T, V) over the keys up to each query; a factor of each query's own cancels out."""
        nothing = (nothing_read(k_BHTM, v_BHTV), torch.full_like(log_BHT[..., 0], -torch.inf))
        state_BHMV, top_BH = states_before(self, context, nothing)
        sums_BHTV, *state = weighted_sums(q_BHTM, k_BHTM, v_BHTV, log_BHT, state_BHMV, top_BH)
        if context.cache is not None:
            context.cache.states[self] = tuple(state)
        return sums_BHTV


def _all(q_BHTM: Tensor, k_BHTM: Tensor, v_BHTV: Tensor, log_BHT: Tensor, context: Context) -> Tensor:
    """The same over all keys that are tokens."""
    if context.keys_BS is not None:
        log_BHT = log_BHT.masked_fill(~context.keys_BS[:, None], -torch.inf)
    weight_BHT1 = (log_BHT - log_BHT.amax(dim=-1, keepdim=True)).exp()[..., None]
    return q_BHTM @ (k_BHTM.mT @ (v_BHTV * weight_BHT1))


def orthogonal_rows(rows: int, width: int, random: np.random.Generator) -> np.ndarray:
    """Vectors (rows, width), each Gaussian by itself, orthogonal to each other within blocks of `width`."""
    blocks = []
    for _ in range(0, rows, width):
        basis, triangle = np.linalg.qr(random.standard_normal((width, width)))
        blocks.append((basis * np.sign(np.diag(triangle))).T)  # the signs make each rotation equally likely
    lengths = np.linalg.norm(random.standard_normal((rows, width)), axis=1)
    return np.concatenate(blocks)[:rows] * lengths[:, None]
