"""Self-attention: each token gathers from the others; chosen by name."""

from collections.abc import Callable

import torch.nn.functional as F
from torch import Tensor, nn

from pipeline.models.context import Context
from pipeline.models.norms import norm
from pipeline.models.settings import TransformerSettings
from pipeline.models.weights import Linear, inner_std, residual_std


class SelfAttention(nn.Module):
    """Multi-head softmax(q k^T / sqrt(K)) v (Vaswani et al. 2017, section 3.2), through torch's fused kernel."""

    def __init__(self, settings: TransformerSettings) -> None:
        super().__init__()
        D, self.heads = settings.width, settings.heads
        self.qkv = Linear(D, 3 * D, bias=settings.bias, std=inner_std(settings))
        self.out = Linear(D, D, bias=settings.bias, std=residual_std(settings))
        self.q_norm = norm(settings, D // self.heads) if settings.qk_norm else nn.Identity()
        self.k_norm = norm(settings, D // self.heads) if settings.qk_norm else nn.Identity()

    def forward(self, x_BTD: Tensor, context: Context) -> Tensor:
        """Mix `x_BTD` over T; the result is (B, T, D) as well."""
        B, T, D = x_BTD.shape
        q_BTHK, k_BTHK, v_BTHK = self.qkv(x_BTD).view(B, T, 3, self.heads, -1).unbind(2)
        q_BTHK = context.positions.rotate(self.q_norm(q_BTHK))
        k_BTHK = context.positions.rotate(self.k_norm(k_BTHK))
        mixed_BHTK = F.scaled_dot_product_attention(
            q_BTHK.transpose(1, 2),  # (B, H, T, K)
            k_BTHK.transpose(1, 2),
            v_BTHK.transpose(1, 2),
            attn_mask=context.mask_B11T,
            is_causal=context.causal,
        )
        return self.out(mixed_BHTK.transpose(1, 2).reshape(B, T, D))


ATTENTIONS: dict[str, Callable[[TransformerSettings], nn.Module]] = {"softmax": SelfAttention}
