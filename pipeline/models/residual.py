"""How a sub-layer f and a norm are put around the residual stream x; chosen by name.

pre         x + f(norm(x))                              and a norm behind the last block
post        norm(x + f(x))
resi_dual   x, d  ->  norm(x + f(x)), d + f(x)          and x + norm(d) behind the last block
"""

from collections.abc import Callable
from typing import Any, ClassVar

from torch import Tensor, nn

from pipeline.models.dropout import SeededDropout
from pipeline.models.norms import norm
from pipeline.models.settings import TransformerSettings

SubLayer = Callable[[Tensor], Tensor]  # (B, T, D) -> (B, T, D)


class PreNorm(nn.Module):
    """Norm at the entrance of each sub-layer; the stream itself is never normalised (Xiong et al. 2020)."""

    final_norm: ClassVar[bool] = True

    def __init__(self, settings: TransformerSettings, site: int) -> None:
        """`site`: number of its dropout in the network."""
        super().__init__()
        self.norm = norm(settings)
        self.dropout = SeededDropout(settings.dropout, site)

    def forward(self, stream: Any, sub_layer: SubLayer, seeds_B: Tensor | None) -> Any:
        """The stream after the sub-layer."""
        return stream + self.dropout(sub_layer(self.norm(stream)), seeds_B)

    @staticmethod
    def begin(x_BTD: Tensor) -> Any:
        """The stream that enters the first block."""
        return x_BTD

    @staticmethod
    def end(stream: Any, final_norm: nn.Module) -> Tensor:
        """Hidden states (B, T, D) from the stream that leaves the last block."""
        return final_norm(stream)


class PostNorm(PreNorm):
    """Norm of each sum (Vaswani et al. 2017, section 3.1); needs a learning rate that warms up."""

    final_norm = False

    def forward(self, stream: Any, sub_layer: SubLayer, seeds_B: Tensor | None) -> Any:
        """The stream after the sub-layer."""
        return self.norm(stream + self.dropout(sub_layer(stream), seeds_B))


class ResiDual(PreNorm):
    """A normalised stream that sub-layers read, and a plain sum of what they gave (Xie et al. 2023, section 2)."""

    def forward(self, stream: Any, sub_layer: SubLayer, seeds_B: Tensor | None) -> Any:
        """Both streams after the sub-layer."""
        x_BTD, dual_BTD = stream
        update_BTD = self.dropout(sub_layer(x_BTD), seeds_B)
        return self.norm(x_BTD + update_BTD), dual_BTD + update_BTD

    @staticmethod
    def begin(x_BTD: Tensor) -> Any:
        """Both streams begin with the embedded tokens."""
        return x_BTD, x_BTD

    @staticmethod
    def end(stream: Any, final_norm: nn.Module) -> Tensor:
        """The normalised stream, and the sum once normalised."""
        x_BTD, dual_BTD = stream
        return x_BTD + final_norm(dual_BTD)


RESIDUALS: dict[str, type[PreNorm]] = {"pre": PreNorm, "post": PostNorm, "resi_dual": ResiDual}
