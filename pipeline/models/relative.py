"""Relative positions of Transformer-XL, which Gopher has too: scores by content and by distance."""

import math

import torch
from torch import Tensor, nn

from pipeline.models.positions import angles, distances
from pipeline.models.settings import TransformerSettings
from pipeline.models.weights import Linear, inner_std


class RelativeScores(nn.Module):
    """(q_i + u) k_j + (q_i + v) W r_(i-j), r a sinusoid of the distance (Dai et al. 2019, section 3.3).

    u and v are vectors of each head, W a matrix, all of this layer's own.
    """

    def __init__(self, settings: TransformerSettings) -> None:
        super().__init__()
        H, K, self.width = settings.heads, settings.key_width, settings.width
        self.content_HK = nn.Parameter(torch.zeros(H, K))  # u
        self.position_HK = nn.Parameter(torch.zeros(H, K))  # v
        self.distance = Linear(self.width, H * K, bias=False, std=inner_std(settings))  # W

    def forward(self, q_BTHK: Tensor, offset: int) -> tuple[Tensor, Tensor]:
        """Queries for the content, (B, T, H, K), and what distances add to scores / sqrt(K), (B, H, T, S)."""
        T, (H, K) = q_BTHK.size(1), self.content_HK.shape
        distance_TS = distances(T, offset, q_BTHK.device)
        farthest = int(offset + T - 1)
        every_R = torch.arange(farthest, -T, -1, device=q_BTHK.device)  # R distances, of keys from first to last
        angles_RD = angles(every_R, self.width)
        r_RD = torch.cat([angles_RD.sin(), angles_RD.cos()], 1)[:, : self.width]
        r_RHK = self.distance(r_RD).view(-1, H, K)
        scores_BHTR = torch.einsum("bthk,rhk->bhtr", q_BTHK + self.position_HK, r_RHK) / math.sqrt(K)
        index_TS = (farthest - distance_TS).expand(*scores_BHTR.shape[:2], -1, -1)
        return q_BTHK + self.content_HK, scores_BHTR.gather(3, index_TS)
