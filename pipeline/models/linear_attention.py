"""Attention as a quotient of sums of features, in time and memory linear in length (Katharopoulos et al. 2020)."""

import torch
from torch import Tensor

from pipeline.models.chunked import causal_sums
from pipeline.models.context import Context
from pipeline.models.projections import Projections, turned

# Of a denominator: reached only where every key is padding, or where fp32 is too narrow for the features.
SMALLEST = 1e-30


class LinearAttention(Projections):
    """(sum over s of phi(q_t) phi(k_s) v_s) / (sum over s of phi(q_t) phi(k_s)), phi(x) = elu(x) + 1 (section 3.2.1).

    Rotary positions turn the features, and those of the numerator alone (Su et al. 2021, section 3.3, equation 19):
    turned before phi, products would know where two tokens stand and not how far apart; the denominator is a sum of
    positive numbers as it is.

    The sums over keys do not depend on the query, so a causal network can be run as a recurrent one, with a state of
    constant size (section 3.4): that is what a cache keeps.
    """

    def forward(self, x_BTD: Tensor, context: Context) -> Tensor:
        """Mix `x_BTD` over T; the result is (B, T, D) as well. Computed in fp32, in whatever precision around it."""
        projected = self.project(x_BTD)
        with torch.autocast(x_BTD.device.type, enabled=False):
            q_BHTK, k_BHTK, v_BHTK = (fp32_heads(part, self.heads) for part in projected)
            mixed_BHTK = self._mix(q_BHTK, k_BHTK, v_BHTK, context)
        return self.out(mixed_BHTK.transpose(1, 2).flatten(2).to(projected[0].dtype))

    def _mix(self, q_BHTK: Tensor, k_BHTK: Tensor, v_BHTK: Tensor, context: Context) -> Tensor:
        """Quotients (B, H, T, K) of the sums over keys."""
        q_BHTK, k_BHTK = elu_plus_one(q_BHTK), elu_plus_one(k_BHTK)
        if context.keys_BS is not None:
            k_BHTK = k_BHTK * context.keys_BS[:, None, :, None]
        every_one_BHT1 = torch.ones_like(v_BHTK[..., :1])
        of_values = (turned_heads(q_BHTK, context), turned_heads(k_BHTK, context), v_BHTK)
        sums = self._causal if context.causal else both_sides
        above_BHTK, below_BHT1 = sums(context, of_values, (q_BHTK, k_BHTK, every_one_BHT1))
        return above_BHTK / below_BHT1.clamp(min=SMALLEST)

    def _causal(self, context: Context, *parts: tuple[Tensor, Tensor, Tensor]) -> list[Tensor]:
        """Of each (queries, keys, values) the sums (B, H, T, V) over the keys up to each query, from the cache on."""
        nothing = tuple(nothing_read(k_BHTK, v_BHTV) for _, k_BHTK, v_BHTV in parts)
        states = states_before(self, context, nothing)
        sums = [causal_sums(*part, state_BHKV) for part, state_BHKV in zip(parts, states, strict=True)]
        if context.cache is not None:
            context.cache.states[self] = tuple(state_BHKV for _, state_BHKV in sums)
        return [sums_BHTV for sums_BHTV, _ in sums]


def both_sides(_: Context, *parts: tuple[Tensor, Tensor, Tensor]) -> list[Tensor]:
    """Of each (queries, keys, values) the sums (B, H, T, V) over all keys."""
    return [q_BHTK @ (k_BHTK.mT @ v_BHTV) for q_BHTK, k_BHTK, v_BHTV in parts]


def elu_plus_one(x: Tensor) -> Tensor:
    """elu(x) + 1, as exp(x) below zero and x + 1 above: small features keep all their digits and stay above zero."""
    return x.clamp(max=0).exp() + x.relu()


def fp32_heads(part_BTHK: Tensor, heads: int) -> Tensor:
    """(B, H, T, K) in fp32 at least; fewer heads of keys than of queries are repeated."""
    part_BHTK = part_BTHK.transpose(1, 2).to(torch.promote_types(part_BTHK.dtype, torch.float32))
    return part_BHTK.repeat_interleave(heads // part_BHTK.size(1), dim=1)


def turned_heads(x_BHTK: Tensor, context: Context) -> Tensor:
    """`turned`, of heads before tokens."""
    return turned(x_BHTK.transpose(1, 2), context).transpose(1, 2)


def nothing_read(k_BHTK: Tensor, v_BHTV: Tensor) -> Tensor:
    """The state (B, H, K, V) before the first of some keys and values."""
    return k_BHTK.new_zeros(*k_BHTK.shape[:2], k_BHTK.size(-1), v_BHTV.size(-1))


def states_before(module: Projections, context: Context, nothing: tuple[Tensor, ...]) -> tuple[Tensor, ...]:
    """What `module` keeps of the tokens before these in the cache; `nothing` where there are none."""
    return nothing if context.cache is None else context.cache.states.get(module, nothing)
