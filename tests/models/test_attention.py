"""Attention gives what its formula says, number by number."""

import math

import numpy as np
import pytest
import torch

from pipeline.models.attention import SelfAttention
from pipeline.models.context import Context
from pipeline.models.positions import Positions
from pipeline.models.weights import initialise


def by_the_formula(attention: SelfAttention, x_TD: np.ndarray, visible_TT: np.ndarray) -> np.ndarray:
    """softmax(q k^T / sqrt(K)) v in loops, of one sequence; `visible_TT[i, j]`: token i may attend to token j."""
    weight, bias = attention.qkv.weight.detach().double().numpy(), attention.qkv.bias.detach().double().numpy()
    T, D = x_TD.shape
    K = D // attention.heads
    q_TD, k_TD, v_TD = np.split(x_TD @ weight.T + bias, 3, axis=1)
    mixed_TD = np.zeros((T, D))
    for head in range(attention.heads):
        of_head = slice(head * K, (head + 1) * K)
        for i in range(T):
            seen = [j for j in range(T) if visible_TT[i, j]]
            weights = np.array([math.exp(q_TD[i, of_head] @ k_TD[j, of_head] / math.sqrt(K)) for j in seen])
            weights /= weights.sum()
            mixed_TD[i, of_head] = sum(w * v_TD[j, of_head] for w, j in zip(weights, seen, strict=True))
    return mixed_TD @ attention.out.weight.detach().double().numpy().T + attention.out.bias.detach().double().numpy()


@pytest.mark.parametrize(("causal", "length"), [(True, 6), (False, 6), (False, 4)])
def test_attention_equals_a_literal_loop(tiny, causal, length) -> None:
    settings = tiny(heads=4, qk_norm=False)
    attention = SelfAttention(settings)
    initialise(attention, seed=5)
    x_1TD = torch.randn(1, 6, 32, generator=torch.Generator().manual_seed(2))
    mask_1116 = None if length == 6 else (torch.arange(6) < length)[None, None, None]
    got = attention(x_1TD, Context(causal, None, Positions(settings), mask=mask_1116))[0]

    order = np.arange(6)
    visible_TT = order[:, None] >= order if causal else np.broadcast_to(order < length, (6, 6))
    np.testing.assert_allclose(got.detach().numpy(), by_the_formula(attention, x_1TD[0].numpy(), visible_TT), atol=1e-5)


def test_qk_norm_bounds_the_scores_whatever_the_input(tiny) -> None:
    """With unit-RMS queries and keys no score can pass sqrt(K), so a large input cannot saturate the softmax."""
    settings = tiny(norm="rmsnorm")
    attention = SelfAttention(settings)
    initialise(attention, seed=5)
    context = Context(True, None, Positions(settings))
    x_1TD = torch.randn(1, 6, 32, generator=torch.Generator().manual_seed(2))
    # v grows with the input, the weights of the average stay: the result is linear in the size of the input.
    torch.testing.assert_close(attention(1000 * x_1TD, context), 1000 * attention(x_1TD, context), rtol=1e-3, atol=0.05)
