"""One block: attention, in a decoder's case attention to what an encoder has read, then feed-forward."""

from typing import Any

from torch import nn

from pipeline.models.attention import ATTENTIONS, CrossAttention
from pipeline.models.context import Context
from pipeline.models.feed_forward import FeedForward
from pipeline.models.residual import RESIDUALS
from pipeline.models.settings import TransformerSettings


class Block(nn.Module):
    """Sub-layers, each with the residual connection that the settings name around it (Vaswani et al. 2017, 3.1)."""

    SITES = 3  # dropouts of a block

    def __init__(self, settings: TransformerSettings, first_site: int, cross: bool) -> None:
        """`first_site`: number of its first dropout in the network; `cross`: attends to an encoder's memory too."""
        super().__init__()
        residual = RESIDUALS[settings.placement]
        self.attention = ATTENTIONS[settings.attention](settings)
        self.attention_residual = residual(settings, first_site)
        self.cross_attention = CrossAttention(settings) if cross else None
        self.cross_residual = residual(settings, first_site + 1) if cross else None
        self.feed_forward = FeedForward(settings)
        self.feed_forward_residual = residual(settings, first_site + 2)

    def forward(self, stream: Any, context: Context) -> Any:
        """The residual stream after this block."""
        stream = self.attention_residual(stream, lambda x_BTD: self.attention(x_BTD, context), context.seeds_B)
        if self.cross_attention is not None and self.cross_residual is not None:
            cross = self.cross_attention
            stream = self.cross_residual(stream, lambda x_BTD: cross(x_BTD, context), context.seeds_B)
        return self.feed_forward_residual(stream, self.feed_forward, context.seeds_B)
