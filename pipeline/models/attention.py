"""Softmax attention: of tokens to each other and to what an encoder has read. The kinds of self-attention by name."""

from collections.abc import Callable

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from pipeline.models.context import Context
from pipeline.models.fast_weights import FastWeight
from pipeline.models.linear_attention import LinearAttention
from pipeline.models.norms import norm
from pipeline.models.performer import Performer
from pipeline.models.projections import Projections, turned
from pipeline.models.relative import RelativeScores
from pipeline.models.settings import TransformerSettings
from pipeline.models.weights import Linear, inner_std, residual_std


class SelfAttention(Projections):
    """Multi-head softmax(q k^T / sqrt(K)) v (Vaswani et al. 2017, section 3.2), through torch's fused kernel."""

    def __init__(self, settings: TransformerSettings) -> None:
        super().__init__(settings)
        self.relative = RelativeScores(settings) if settings.positions == "transformer_xl" else None

    def forward(self, x_BTD: Tensor, context: Context) -> Tensor:
        """Mix `x_BTD` over T; the result is (B, T, D) as well."""
        q_BTHK, k_BSHK, v_BSHK = self.project(x_BTD)
        q_BTHK, k_BSHK = turned(q_BTHK, context), turned(k_BSHK, context)
        offset = 0
        if context.cache is not None:
            offset = context.cache.length
            k_BSHK, v_BSHK = context.cache.extend(self, k_BSHK, v_BSHK)
        mask = context.mask
        if self.relative is not None:
            q_BTHK, scores_BHTS = self.relative(q_BTHK, offset, context.causal)
            mask = scores_BHTS if mask is None else scores_BHTS.masked_fill(~mask, -torch.inf)
        causal = context.causal and mask is None and not offset  # a single new token may see all before it
        return self.out(attend(q_BTHK, k_BSHK, v_BSHK, mask, causal))


class CrossAttention(nn.Module):
    """Queries from the decoder, keys and values from what the encoder has read (Vaswani et al. 2017, 3.2.3)."""

    def __init__(self, settings: TransformerSettings) -> None:
        super().__init__()
        D, K, self.heads, self.key_heads = settings.width, settings.key_width, settings.heads, settings.key_heads
        self.q = Linear(D, self.heads * K, bias=settings.bias, std=inner_std(settings))
        self.kv = Linear(D, 2 * self.key_heads * K, bias=settings.bias, std=inner_std(settings))
        self.out = Linear(self.heads * K, D, bias=settings.bias, std=residual_std(settings))
        self.q_norm = norm(settings, K) if settings.qk_norm else nn.Identity()
        self.k_norm = norm(settings, K) if settings.qk_norm else nn.Identity()

    def forward(self, x_BTD: Tensor, context: Context) -> Tensor:
        """What each of the T tokens gathers from the S of the memory, (B, T, D)."""
        assert context.memory is not None
        q_BTHK = self.q_norm(self.q(x_BTD).unflatten(2, (self.heads, -1)))
        k_BSHK, v_BSHK = self._keys_and_values(context)
        return self.out(attend(q_BTHK, k_BSHK, v_BSHK, context.memory.mask_B11S, causal=False))

    def _keys_and_values(self, context: Context) -> tuple[Tensor, ...]:
        """(B, S, H, K) each; a generation computes them once."""
        assert context.memory is not None
        if context.cache is not None and self in context.cache.states:
            return context.cache.states[self]
        k_BSHK, v_BSHK = self.kv(context.memory.hidden_BSD).unflatten(2, (2 * self.key_heads, -1)).chunk(2, dim=2)
        kept = (self.k_norm(k_BSHK), v_BSHK)
        if context.cache is not None:
            context.cache.states[self] = kept
        return kept


def attend(q_BTHK: Tensor, k_BSHK: Tensor, v_BSHK: Tensor, mask: Tensor | None, causal: bool) -> Tensor:
    """Weighted means of values with the heads side by side, (B, T, H K); fewer heads of keys than of queries share."""
    group = q_BTHK.size(2) // k_BSHK.size(2)
    if group > 1:
        k_BSHK, v_BSHK = k_BSHK.repeat_interleave(group, 2), v_BSHK.repeat_interleave(group, 2)
    if mask is not None and mask.dtype != torch.bool:
        mask = mask.to(q_BTHK.dtype)
    mixed_BHTK = F.scaled_dot_product_attention(
        q_BTHK.transpose(1, 2),  # (B, H, T, K)
        k_BSHK.transpose(1, 2),
        v_BSHK.transpose(1, 2),
        attn_mask=mask,
        is_causal=causal,
    )
    return mixed_BHTK.transpose(1, 2).flatten(2)


ATTENTIONS: dict[str, Callable[[TransformerSettings], nn.Module]] = {
    "softmax": SelfAttention,
    "linear": LinearAttention,
    "performer": Performer,
    "fast_weight": FastWeight,
}
