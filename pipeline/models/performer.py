"""Performer: softmax attention estimated by positive random features (FAVOR+, Choromanski et al. 2021)."""

import numpy as np
import torch
from torch import Tensor

from pipeline.models.linear_attention import LinearAttention
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

    def query_features(self, q_BHTK: Tensor) -> Tensor:
        """phi but for a factor of each query's own, which keeps the largest of its features at 1 / sqrt(M)."""
        exponents_BHTM = self._exponents(q_BHTK)
        return self._exp(exponents_BHTM - exponents_BHTM.amax(dim=-1, keepdim=True).detach())

    def key_features(self, k_BHTK: Tensor) -> Tensor:
        """phi; its exponents cannot pass |w|^2 / 2, some 30 for heads of 64, so they need no such factor."""
        return self._exp(self._exponents(k_BHTK))

    def _exponents(self, x_BHTK: Tensor) -> Tensor:
        x_BHTK = x_BHTK * x_BHTK.size(-1) ** -0.25
        return x_BHTK @ self.projection_HMK.to(x_BHTK.dtype).mT - x_BHTK.square().sum(dim=-1, keepdim=True) / 2

    def _exp(self, exponents_BHTM: Tensor) -> Tensor:
        return exponents_BHTM.exp() * self.projection_HMK.size(1) ** -0.5


def orthogonal_rows(rows: int, width: int, random: np.random.Generator) -> np.ndarray:
    """Vectors (rows, width), each Gaussian by itself, orthogonal to each other within blocks of `width`."""
    blocks = []
    for _ in range(0, rows, width):
        basis, triangle = np.linalg.qr(random.standard_normal((width, width)))
        blocks.append((basis * np.sign(np.diag(triangle))).T)  # the signs make each rotation equally likely
    lengths = np.linalg.norm(random.standard_normal((rows, width)), axis=1)
    return np.concatenate(blocks)[:rows] * lengths[:, None]
