"""Causal sums over keys and values in time linear in length: whole chunks at once, a state between them.

The state is a matrix S (K, V) of each head. Reading token t adds k_t u_t^T to it, where u_t is the value itself (linear
attention) or what the value adds to that which S already answers to k_t (the delta rule); token t then gives S^T q_t.
"""

from itertools import accumulate
from operator import add

import torch
import torch.nn.functional as F
from torch import Tensor

# Tokens whose scores are computed one by one. Milliseconds of forward and backward, 4 heads of width 64, 4,096 tokens,
# one core, chunks of 32 / 64 / 128 / 256: linear attention 57 / 54 / 59 / 78, Performer with 128 features
# 86 / 79 / 86 / 108, the delta rule 149 / 144 / 152 / 207.
CHUNK = 64


def causal_sums(q_BHTK: Tensor, k_BHTK: Tensor, v_BHTV: Tensor, state_BHKV: Tensor) -> tuple[Tensor, Tensor]:
    """(sum over s <= t of (q_t k_s) v_s, (B, H, T, V); the state after the last token), from a state to start with."""
    T, chunk = q_BHTK.size(2), min(CHUNK, q_BHTK.size(2))
    q_BHNCK, k_BHNCK, v_BHNCV = (_cut(part, chunk) for part in (q_BHTK, k_BHTK, v_BHTV))
    added_BHNKV = k_BHNCK.mT @ v_BHNCV  # what each chunk adds to the state
    # One by one: torch.cumsum has no deterministic form on CUDA.
    *before, after_BHKV = accumulate(added_BHNKV.unbind(2), add, initial=state_BHKV)
    within_BHNCV = (q_BHNCK @ k_BHNCK.mT).tril() @ v_BHNCV
    sums_BHNCV = q_BHNCK @ torch.stack(before, dim=2) + within_BHNCV
    return sums_BHNCV.flatten(2, 3)[:, :, :T], after_BHKV


def weighted_sums(
    q_BHTK: Tensor, k_BHTK: Tensor, v_BHTV: Tensor, log_BHT: Tensor, state_BHKV: Tensor, top_BH: Tensor
) -> tuple[Tensor, Tensor, Tensor]:
    """The same where the key of token s counts exp(log_s) times, for logarithms of any size.

    Sums of token t are divided by exp(top_t), top_t the highest of the logarithms up to t, and a state by that of its
    last token (the running maximum of Milakov & Gimelshein 2018, arXiv 1805.02867). With one maximum for all of them,
    keys before it could vanish beside one that comes later.

    Args:
        state_BHKV, top_BH: what went before; -inf where that is nothing.

    Returns:
        The sums, (B, H, T, V); the state after the last token; its top.
    """
    T, chunk = q_BHTK.size(2), min(CHUNK, q_BHTK.size(2))
    q_BHNCK, k_BHNCK, v_BHNCV = (_cut(part, chunk) for part in (q_BHTK, k_BHTK, v_BHTV))
    # The last one repeated, so that what fills up the last chunk has a part in no maximum.
    log_BHT = F.pad(log_BHT, (0, -T % chunk), mode="replicate")
    tops_BHT = torch.maximum(log_BHT.cummax(dim=2).values, top_BH[..., None])
    log_BHNC, tops_BHNC = (part.unflatten(2, (-1, chunk)) for part in (log_BHT, tops_BHT))
    after_BHN = tops_BHNC[..., -1]
    before_BHN = torch.cat([top_BH[..., None], after_BHN[..., :-1]], dim=2)
    added_BHNKV = k_BHNCK.mT @ (v_BHNCV * (log_BHNC - after_BHN[..., None]).exp()[..., None])
    kept_BHN11 = (before_BHN - after_BHN).exp()[..., None, None]
    states = [state_BHKV]
    for kept_BH11, added_BHKV in zip(kept_BHN11.unbind(2), added_BHNKV.unbind(2), strict=True):
        states.append(kept_BH11 * states[-1] + added_BHKV)
    # Above the diagonal, which counts nothing, a difference may be of any size.
    weight_BHNCC = (log_BHNC[..., None, :] - tops_BHNC[..., None]).clamp(max=0).exp()
    within_BHNCV = (q_BHNCK @ k_BHNCK.mT * weight_BHNCC).tril() @ v_BHNCV
    earlier_BHNCV = q_BHNCK @ torch.stack(states[:-1], dim=2) * (before_BHN[..., None] - tops_BHNC).exp()[..., None]
    return (earlier_BHNCV + within_BHNCV).flatten(2, 3)[:, :, :T], states[-1], tops_BHT[..., -1]


def delta_rule(
    q_BHTK: Tensor, k_BHTK: Tensor, v_BHTV: Tensor, beta_BHT1: Tensor, state_BHKV: Tensor
) -> tuple[Tensor, Tensor]:
    """`causal_sums` where u_t = beta_t (v_t - S_{t-1}^T k_t).

    Within a chunk the u_t depend on each other: (I + beta tril(K K^T, -1)) U = beta (V - K S), a triangular system
    that is solved once for V and once for K (Yang et al. 2024, arXiv 2406.06484, section 3).
    """
    T, chunk = q_BHTK.size(2), min(CHUNK, q_BHTK.size(2))
    q_BHNCK, k_BHNCK, v_BHNCV, beta_BHNC1 = (_cut(part, chunk) for part in (q_BHTK, k_BHTK, v_BHTV, beta_BHT1))
    system_BHNCC = beta_BHNC1 * (k_BHNCK @ k_BHNCK.mT).tril(-1)  # its diagonal of ones is not read
    right_BHNCX = beta_BHNC1 * torch.cat([v_BHNCV, k_BHNCK], dim=-1)
    solved_BHNCX = torch.linalg.solve_triangular(system_BHNCC, right_BHNCX, upper=False, unitriangular=True)
    of_values_BHNCV, of_keys_BHNCK = solved_BHNCX.split((v_BHNCV.size(-1), k_BHNCK.size(-1)), dim=-1)
    scores_BHNCC = (q_BHNCK @ k_BHNCK.mT).tril()
    out = []
    # Unbound, not indexed: the gradient of an index is as large as all chunks together.
    chunks = (part.unbind(2) for part in (q_BHNCK, k_BHNCK, scores_BHNCC, of_values_BHNCV, of_keys_BHNCK))
    for q_BHCK, k_BHCK, scores_BHCC, of_values_BHCV, of_keys_BHCK in zip(*chunks, strict=True):
        u_BHCV = of_values_BHCV - of_keys_BHCK @ state_BHKV
        out.append(q_BHCK @ state_BHKV + scores_BHCC @ u_BHCV)
        state_BHKV = state_BHKV + k_BHCK.mT @ u_BHCV
    return torch.cat(out, dim=2)[:, :, :T], state_BHKV


def _cut(part_BHTX: Tensor, chunk: int) -> Tensor:
    """Chunks (B, H, N, C, X), the last one filled up with zeros, which add nothing to a state."""
    missing = -part_BHTX.size(2) % chunk
    return F.pad(part_BHTX, (0, 0, 0, missing)).unflatten(2, (-1, chunk))
