"""The blocks on top of each other and what stands behind the last; chosen by the placement of the norms."""

from collections.abc import Callable

from torch import Tensor, nn

from pipeline.models.block import PreNormBlock
from pipeline.models.context import Context
from pipeline.models.norms import norm
from pipeline.models.settings import TransformerSettings


class Stack(nn.Module):
    """What every stack has: its blocks, and what follows the last of them."""

    blocks: nn.ModuleList
    norm: nn.Module


class PreNormStack(Stack):
    """Blocks that add to one stream, and a norm at its end."""

    def __init__(self, settings: TransformerSettings, first_site: int) -> None:
        """`first_site`: number of its first dropout in the network; each block has two."""
        super().__init__()
        sites = ((first_site + 2 * layer, first_site + 2 * layer + 1) for layer in range(settings.layers))
        self.blocks = nn.ModuleList(PreNormBlock(settings, pair) for pair in sites)
        self.norm = norm(settings)

    def forward(self, x_BTD: Tensor, context: Context) -> Tensor:
        """Hidden states, (B, T, D), of embedded tokens."""
        for block in self.blocks:
            x_BTD = block(x_BTD, context)
        return self.norm(x_BTD)


STACKS: dict[str, Callable[[TransformerSettings, int], Stack]] = {"pre": PreNormStack}
