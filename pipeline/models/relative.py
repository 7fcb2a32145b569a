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
        self.heads, self.width = settings.heads, settings.width
        channels = settings.heads * settings.key_width
        # Those of all heads in a row: vectors, as any bias of a linear layer, and no matrices to an optimiser.
        self.content = nn.Parameter(torch.zeros(channels))  # u
        self.position = nn.Parameter(torch.zeros(channels))  # v
        self.distance = Linear(self.width, channels, bias=False, std=inner_std(settings))  # W

    def forward(self, q_BTHK: Tensor, offset: int, causal: bool) -> tuple[Tensor, Tensor]:
        """Queries for the content, (B, T, H, K), and what distances add to scores / sqrt(K), (B, H, T, S).

        Where `causal`, scores of keys that follow mean nothing: a mask hides them.
        """
        T, H, K = q_BTHK.size(1), self.heads, q_BTHK.size(3)
        content_HK, position_HK = self.content.view(H, K), self.position.view(H, K)
        distance_TS = distances(T, offset, q_BTHK.device)
        farthest = int(offset + T - 1)
        nearest = 0 if causal else 1 - T
        every_R = torch.arange(farthest, nearest - 1, -1, device=q_BTHK.device)  # R distances, of keys first to last
        angles_RD = angles(every_R, self.width)
        r_RD = torch.cat([angles_RD.sin(), angles_RD.cos()], 1)[:, : self.width]
        r_RHK = self.distance(r_RD).view(-1, H, K)
        scores_BHTR = torch.einsum("bthk,rhk->bhtr", q_BTHK + position_HK, r_RHK) / math.sqrt(K)
        index_TS = (farthest - distance_TS.clamp(min=nearest)).expand(*scores_BHTR.shape[:2], -1, -1)
        return q_BTHK + content_HK, scores_BHTR.gather(3, index_TS)
