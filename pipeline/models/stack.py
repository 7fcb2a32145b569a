"""The blocks on top of each other and what stands behind the last."""

import torch
from torch import Tensor, nn

from pipeline.models.backbone import level
from pipeline.models.block import Block
from pipeline.models.context import Context
from pipeline.models.norms import norm
from pipeline.models.residual import RESIDUALS
from pipeline.models.settings import TransformerSettings

AS_IT_IS = nn.Identity()
VISIT = 0x632BE59BD9B4E019  # sets the noise of a shared block's visits apart


class Stack(nn.Module):
    """`layers` blocks, or one that is used as often; the placement of the norms says how they begin and end."""

    def __init__(self, settings: TransformerSettings, first_site: int, cross: bool = False) -> None:
        """`first_site`: number of its first dropout in the network; `cross`: blocks attend to an encoder's memory."""
        super().__init__()
        self.residual = RESIDUALS[settings.placement]
        blocks = 1 if settings.share_layers else settings.layers
        self.visits = settings.layers // blocks
        sites = (first_site + Block.SITES * number for number in range(blocks))
        self.blocks = nn.ModuleList(Block(settings, site, cross) for site in sites)
        self.norm = norm(settings) if self.residual.final_norm else nn.Identity()

    def forward(self, x_BTD: Tensor, context: Context, *, every_layer: bool = False) -> Tensor:
        """Hidden states, (B, T, D), of embedded tokens.

        With `every_layer` those of the embeddings and of all blocks side by side, (B, T, (layers + 1) * D).
        """
        stream, below = self.residual.begin(x_BTD), []
        for block in self.blocks:
            for visit in range(self.visits):
                if every_layer:
                    below.append(level(self.residual.end(stream, AS_IT_IS)))
                stream = block(stream, _noise_of(visit, context))
        last_BTD = self.residual.end(stream, self.norm)
        return torch.cat([*below, last_BTD], dim=-1) if below else last_BTD


def _noise_of(visit: int, context: Context) -> Context:
    if not visit or context.seeds_B is None:
        return context
    # Wrapped to int64, as the tensor's own arithmetic is: torch refuses a Python number that is wider.
    return context._replace(seeds_B=context.seeds_B + ((visit * VISIT + 2**63) % 2**64 - 2**63))
