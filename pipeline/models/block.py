"""One block: attention, then feed-forward."""

from torch import Tensor, nn

from pipeline.models.attention import ATTENTIONS
from pipeline.models.context import Context
from pipeline.models.dropout import SeededDropout
from pipeline.models.feed_forward import FeedForward
from pipeline.models.norms import norm
from pipeline.models.settings import TransformerSettings


class PreNormBlock(nn.Module):
    """Each sub-layer reads the normalised stream and adds to the stream itself (Xiong et al. 2020)."""

    def __init__(self, settings: TransformerSettings, sites: tuple[int, int]) -> None:
        """`sites`: numbers of its two dropouts in the network."""
        super().__init__()
        self.attention_norm = norm(settings)
        self.attention = ATTENTIONS[settings.attention](settings)
        self.attention_dropout = SeededDropout(settings.dropout, sites[0])
        self.feed_forward_norm = norm(settings)
        self.feed_forward = FeedForward(settings)
        self.feed_forward_dropout = SeededDropout(settings.dropout, sites[1])

    def forward(self, x_BTD: Tensor, context: Context) -> Tensor:
        """The stream after this block, (B, T, D)."""
        update_BTD = self.attention(self.attention_norm(x_BTD), context)
        x_BTD = x_BTD + self.attention_dropout(update_BTD, context.seeds_B)
        update_BTD = self.feed_forward(self.feed_forward_norm(x_BTD))
        return x_BTD + self.feed_forward_dropout(update_BTD, context.seeds_B)
