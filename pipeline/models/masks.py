"""Which tokens a token may look at, as softmax attention takes it."""

import torch
from torch import Tensor


def attention_mask(
    queries: int,
    offset: int,
    *,
    causal: bool,
    keys_BS: Tensor | None,
    prefix_B: Tensor | None,
    bias_1HTS: Tensor | None,
    explicit: bool,
    device: torch.device,
) -> Tensor | None:
    """A mask that broadcasts to (B, H, T, S): booleans, or `bias_1HTS` with -inf where a token may not look.

    None where the causal rule alone, or no rule at all, says everything; `explicit` spells the causal rule out anyway.

    Args:
        queries: T, tokens read now, the first at position `offset`; S = offset + T.
        causal: a token sees itself and those before it; and the first `prefix_B` tokens of its row, where given.
        keys_BS: true where there is a token and no padding.
    """
    allowed = None if keys_BS is None else keys_BS[:, None, None]  # (B, 1, 1, S)
    rule_needed = explicit or allowed is not None or bias_1HTS is not None or prefix_B is not None
    if causal and (rule_needed or (offset and queries > 1)):
        key_S = torch.arange(offset + queries, device=device)
        sees = key_S <= key_S[offset:, None]  # (T, S)
        if prefix_B is not None:
            sees = sees | (key_S < prefix_B[:, None])[:, None, None]  # (B, 1, T, S)
        allowed = sees if allowed is None else allowed & sees
    if bias_1HTS is None or allowed is None:
        return bias_1HTS if allowed is None else allowed
    return bias_1HTS.masked_fill(~allowed, -torch.inf)


def keys_of(lengths_B: Tensor, longest: int) -> Tensor:
    """(B, S), true at the first `lengths_B` of `longest` positions."""
    return torch.arange(longest, device=lengths_B.device) < lengths_B[:, None]
