"""Attention as a quotient of sums of features, in time and memory linear in length (Katharopoulos et al. 2020)."""

import torch
from torch import Tensor

from pipeline.models.chunked import causal_sums
from pipeline.models.context import Context
from pipeline.models.projections import Projections

# Of a denominator: reached only where every key is padding, or where fp32 is too narrow for the features.
SMALLEST = 1e-30


class LinearAttention(Projections):
    """(sum over s of phi(q_t) phi(k_s) v_s) / (sum over s of phi(q_t) phi(k_s)), phi(x) = elu(x) + 1 (section 3.2.1).

    The sums over keys do not depend on the query, so a causal network can be run as a recurrent one, with a state of
    constant size (section 3.4): that is what a cache keeps.
    """

    def forward(self, x_BTD: Tensor, context: Context) -> Tensor:
        """Mix `x_BTD` over T; the result is (B, T, D) as well. Computed in fp32, in whatever precision around it."""
        projected = self.project(x_BTD, context)
        with torch.autocast(x_BTD.device.type, enabled=False):
            q_BHTK, k_BHTK, v_BHTK = (fp32_heads(part, self.heads) for part in projected)
            mixed_BHTK = self._mix(q_BHTK, k_BHTK, v_BHTK, context)
        return self.out(mixed_BHTK.transpose(1, 2).flatten(2).to(projected[0].dtype))

    def _mix(self, q_BHTK: Tensor, k_BHTK: Tensor, v_BHTK: Tensor, context: Context) -> Tensor:
        v_BHTV = torch.cat([v_BHTK, torch.ones_like(v_BHTK[..., :1])], dim=-1)  # the denominator is one value more
        sums_BHTV = (self._causal if context.causal else self._both_sides)(q_BHTK, k_BHTK, v_BHTV, context)
        return sums_BHTV[..., :-1] / sums_BHTV[..., -1:].clamp(min=SMALLEST)

    def _causal(self, q_BHTK: Tensor, k_BHTK: Tensor, v_BHTV: Tensor, context: Context) -> Tensor:
        """Numerators and, last, the denominator of each query, (B, H, T, V); a factor of its own cancels out."""
        q_BHTM, k_BHTM = elu_plus_one(q_BHTK), elu_plus_one(k_BHTK)
        state_BHMV = state_before(self, context, k_BHTM, v_BHTV)
        sums_BHTV, state_BHMV = causal_sums(q_BHTM, k_BHTM, v_BHTV, state_BHMV)
        if context.cache is not None:
            context.cache.states[self] = (state_BHMV,)
        return sums_BHTV

    def _both_sides(self, q_BHTK: Tensor, k_BHTK: Tensor, v_BHTV: Tensor, context: Context) -> Tensor:
        """The same over all keys that are tokens."""
        q_BHTM, k_BHTM = elu_plus_one(q_BHTK), elu_plus_one(k_BHTK)
        if context.keys_BS is not None:
            k_BHTM = k_BHTM * context.keys_BS[:, None, :, None]
        return q_BHTM @ (k_BHTM.mT @ v_BHTV)


def elu_plus_one(x: Tensor) -> Tensor:
    """elu(x) + 1, as exp(x) below zero and x + 1 above: small features keep all their digits and stay above zero."""
    return x.clamp(max=0).exp() + x.relu()


def fp32_heads(part_BTHK: Tensor, heads: int) -> Tensor:
    """(B, H, T, K) in fp32 at least; fewer heads of keys than of queries are repeated."""
    part_BHTK = part_BTHK.transpose(1, 2).to(torch.promote_types(part_BTHK.dtype, torch.float32))
    return part_BHTK.repeat_interleave(heads // part_BHTK.size(1), dim=1)


def state_before(module: Projections, context: Context, k_BHTM: Tensor, v_BHTV: Tensor) -> Tensor:
    """The state (B, H, M, V) after the tokens before these: the cache's, or one that has seen nothing."""
    if context.cache is not None and module in context.cache.states:
        return context.cache.states[module][0]
    return k_BHTM.new_zeros(*k_BHTM.shape[:2], k_BHTM.size(-1), v_BHTV.size(-1))
