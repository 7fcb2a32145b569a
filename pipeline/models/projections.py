"""What every kind of self-attention starts and ends with: queries, keys and values of each head, and the way out."""

from torch import Tensor, nn

from pipeline.models.context import Context
from pipeline.models.norms import norm
from pipeline.models.settings import TransformerSettings
from pipeline.models.weights import Linear, inner_std, residual_std


class Projections(nn.Module):
    """The matrices of multi-head attention (Vaswani et al. 2017, section 3.2.2) with grouped queries.

    `heads` heads of queries share `key_heads` heads of keys and values (Ainslie et al. 2023): query head h reads key
    head h // (heads / key_heads). The rows of `qkv` are queries, keys, values.
    """

    def __init__(self, settings: TransformerSettings) -> None:
        super().__init__()
        D, K, self.heads, self.key_heads = settings.width, settings.key_width, settings.heads, settings.key_heads
        rows = (self.heads + 2 * self.key_heads) * K
        self.qkv = Linear(D, rows, bias=settings.bias, std=inner_std(settings))
        self.out = Linear(self.heads * K, D, bias=settings.bias, std=residual_std(settings))
        self.q_norm = norm(settings, K) if settings.qk_norm else nn.Identity()
        self.k_norm = norm(settings, K) if settings.qk_norm else nn.Identity()

    def project(self, x_BTD: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Queries (B, T, H, K), keys and values (B, T, key heads, K), without positions."""
        B, T, _ = x_BTD.shape
        counts = (self.heads, self.key_heads, self.key_heads)
        q_BTHK, k_BTHK, v_BTHK = self.qkv(x_BTD).view(B, T, sum(counts), -1).split(counts, dim=2)
        return self.q_norm(q_BTHK), self.k_norm(k_BTHK), v_BTHK


def turned(x_BTHK: Tensor, context: Context) -> Tensor:
    """Queries, keys or features of either with the positions in them that turn; the products then know distances."""
    return context.positions.rotate(x_BTHK, 0 if context.cache is None else context.cache.length)
