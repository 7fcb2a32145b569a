"""Classifier heads: pooled features in, one score a class out."""

import math
from collections.abc import Sequence

import torch
from torch import Tensor, nn

from pipeline.models.dropout import SeededDropout
from pipeline.models.weights import Linear

# Their noise differs from that of the backbone, whose dropouts count from 0.
HIDDEN_SITE, OUTPUT_SITE = -2, -1


class Head(nn.Module):
    """(dropout, linear, ReLU, LayerNorm,) dropout, linear: the two blocks of Howard & Ruder 2018, section 3.2.

    Where they normalise over the batch this normalises over each document's own features: statistics of a batch would
    make a document's scores depend on its neighbours, on the micro batch and on the number of processes. The input
    arrives normalised (`pooling.join`), so the first block needs none.

    The weights are not set until `initialise` has drawn them or a file has filled them. The last layer starts at zero:
    before the first step every class is equally likely.
    """

    def __init__(self, features: int, classes: int, *, width: int, dropout: Sequence[float]) -> None:
        """`width` 0 leaves the first block out; `dropout` has one rate for each linear layer."""
        super().__init__()
        self.hidden: Linear | None = None
        if width:
            self.hidden_dropout = SeededDropout(dropout[0], HIDDEN_SITE)
            # He et al. 2015: keeps the scale of what passes through a ReLU.
            self.hidden = Linear(features, width, bias=True, std=math.sqrt(2 / features))
            self.norm = nn.LayerNorm(width)
        self.dropout = SeededDropout(dropout[-1], OUTPUT_SITE)
        self.output = Linear(width or features, classes, bias=True, std=0.0)

    def forward(self, pooled_BP: Tensor, seeds_B: Tensor | None = None) -> Tensor:
        """Scores `logits_BC`; `seeds_B` (int64) gives each document's dropout noise, None none."""
        hidden_BP = pooled_BP
        if self.hidden is not None:
            hidden_BP = self.hidden(self.hidden_dropout(hidden_BP, seeds_B))  # (B, width)
            hidden_BP = self.norm(torch.relu(hidden_BP))
        return self.output(self.dropout(hidden_BP, seeds_B))
