"""A fast-weight programmer: each token rewrites a matrix, which answers the queries (Schlag et al. 2021)."""

import torch
from torch import Tensor

from pipeline.models.chunked import delta_rule
from pipeline.models.context import Context
from pipeline.models.linear_attention import (
    SMALLEST,
    elu_plus_one,
    fp32_heads,
    nothing_read,
    states_before,
    turned_heads,
)
from pipeline.models.projections import Projections
from pipeline.models.settings import TransformerSettings
from pipeline.models.weights import Linear, inner_std


class FastWeight(Projections):
    """W_t = W_{t-1} + beta_t (v_t - W_{t-1} phi(k_t)) phi(k_t)^T, y_t = W_t phi(q_t): the delta rule (section 4.2).

    What W answers to a key is replaced by a share beta_t = sigmoid(w x_t) of the new value, where linear attention
    would add the value to it. phi(x) = elu(x) + 1 divided by its sum: features that add up to 1 keep W from growing, so
    there is no denominator. Rotary positions turn the features, which keeps their lengths: what W answers to a key then
    depends on how far it is from the keys written. (The paper's DPFP features are wider, and cost as much more.)
    """

    def __init__(self, settings: TransformerSettings) -> None:
        super().__init__(settings)
        self.rate = Linear(settings.width, settings.heads, bias=settings.bias, std=inner_std(settings))

    def forward(self, x_BTD: Tensor, context: Context) -> Tensor:
        """Mix `x_BTD` over T; the result is (B, T, D) as well. Computed in fp32, in whatever precision around it.

        Raises:
            ValueError: where tokens shall see both sides.
        """
        if not context.causal:
            raise ValueError("`attention: fast_weight` writes token after token, so it cannot see both sides")
        projected, rate_BTH1 = self.project(x_BTD), self.rate(x_BTD)[..., None]
        with torch.autocast(x_BTD.device.type, enabled=False):
            q_BHTK, k_BHTK, v_BHTK, rate_BHT1 = (fp32_heads(part, self.heads) for part in (*projected, rate_BTH1))
            q_BHTK, k_BHTK = (turned_heads(features(part_BHTK), context) for part_BHTK in (q_BHTK, k_BHTK))
            (state_BHKV,) = states_before(self, context, (nothing_read(k_BHTK, v_BHTK),))
            mixed_BHTK, state_BHKV = delta_rule(q_BHTK, k_BHTK, v_BHTK, rate_BHT1.sigmoid(), state_BHKV)
        if context.cache is not None:
            context.cache.states[self] = (state_BHKV,)
        return self.out(mixed_BHTK.transpose(1, 2).flatten(2).to(projected[0].dtype))


def features(x_BHTK: Tensor) -> Tensor:
    """Positive features that add up to 1."""
    positive_BHTK = elu_plus_one(x_BHTK)
    return positive_BHTK / positive_BHTK.sum(dim=-1, keepdim=True).clamp(min=SMALLEST)
