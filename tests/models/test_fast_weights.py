"""Fast weights follow the delta rule, and are the sum of outer products where nothing has to be replaced."""

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

from pipeline.models import chunked
from pipeline.models.chunked import causal_sums, delta_rule
from pipeline.models.context import Context
from pipeline.models.fast_weights import FastWeight, features
from pipeline.models.positions import Positions
from pipeline.models.weights import initialise

HEADS, K, CHUNK = 4, 8, 8


@pytest.fixture(autouse=True)
def short_chunks(monkeypatch) -> None:
    monkeypatch.setattr(chunked, "CHUNK", CHUNK)


@pytest.fixture
def attention(tiny) -> FastWeight:
    module = FastWeight(tiny(attention="fast_weight", heads=HEADS, qk_norm=False, max_positions=64))
    initialise(module, seed=5)
    return module


@pytest.fixture
def context(tiny) -> Context:
    return Context(True, None, Positions(tiny()))


def noise(*shape: int, seed: int = 2) -> Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


def literally(attention: FastWeight, x_TD: Tensor) -> Tensor:
    """W_t = W_{t-1} + beta_t (v_t - W_{t-1} phi(k_t)) phi(k_t)^T and y_t = W_t phi(q_t), in double precision."""
    T = x_TD.size(0)
    rows = F.linear(x_TD, attention.qkv.weight.double(), attention.qkv.bias.double())
    q_THK, k_THK, v_THK = rows.view(T, 3, HEADS, K).unbind(1)
    beta_TH = torch.sigmoid(F.linear(x_TD, attention.rate.weight.double(), attention.rate.bias.double()))

    def phi(x_K: Tensor) -> Tensor:
        return (F.elu(x_K) + 1) / (F.elu(x_K) + 1).sum()

    heads = []
    for h in range(HEADS):
        w_KK, y_TK = torch.zeros(K, K).double(), []
        for t in range(T):
            phi_K = phi(k_THK[t, h])
            w_KK = w_KK + beta_TH[t, h] * torch.outer(v_THK[t, h] - w_KK @ phi_K, phi_K)
            y_TK.append(w_KK @ phi(q_THK[t, h]))
        heads.append(torch.stack(y_TK))
    return F.linear(torch.cat(heads, dim=1), attention.out.weight.double(), attention.out.bias.double())


@pytest.mark.parametrize("length", [1, CHUNK - 1, CHUNK, CHUNK + 1, 3 * CHUNK + 5])
def test_fast_weights_equal_a_literal_loop(attention, context, length) -> None:
    x_1TD = noise(1, length, 32)
    expected_TD = literally(attention, x_1TD[0].double())
    torch.testing.assert_close(attention(x_1TD, context)[0].double(), expected_TD, atol=1e-5, rtol=1e-5)


def test_gradients_equal_those_of_the_literal_loop(attention, context) -> None:
    attention.double()
    x_1TD = noise(1, 2 * CHUNK + 3, 32).double().requires_grad_()
    wanted = [x_1TD, *attention.parameters()]
    got = torch.autograd.grad(attention(x_1TD, context).square().sum(), wanted)
    expected = torch.autograd.grad(literally(attention, x_1TD[0]).square().sum(), wanted)
    torch.testing.assert_close(got, expected, atol=1e-10, rtol=1e-8)


def test_for_orthonormal_keys_the_delta_rule_is_the_sum_of_outer_products() -> None:
    """W answers 0 to a key that is orthogonal to all before it, so with beta = 1 there is nothing to correct."""
    T = 2 * CHUNK + 4
    k_1HTK = torch.linalg.qr(noise(1, 2, T, T).double()).Q
    q_1HTK, v_1HTK = noise(1, 2, T, T, seed=3).double(), noise(1, 2, T, K, seed=4).double()
    nothing_1HKV, one_1HT1 = torch.zeros(1, 2, T, K).double(), torch.ones(1, 2, T, 1).double()
    got = delta_rule(q_1HTK, k_1HTK, v_1HTK, one_1HT1, nothing_1HKV)
    torch.testing.assert_close(got, causal_sums(q_1HTK, k_1HTK, v_1HTK, nothing_1HKV))
    # For other keys it is not.
    k_1HTK = F.normalize(noise(1, 2, T, T, seed=5).double(), dim=-1)
    got = delta_rule(q_1HTK, k_1HTK, v_1HTK, one_1HT1, nothing_1HKV)
    assert not torch.allclose(got[0], causal_sums(q_1HTK, k_1HTK, v_1HTK, nothing_1HKV)[0], atol=0.1)


@pytest.mark.parametrize("distance", [3, CHUNK + 3], ids=["in one chunk", "in another chunk"])
def test_a_repeated_key_gets_its_new_value_in_the_place_of_the_old(distance) -> None:
    T = 2 * CHUNK
    keys_TT = torch.linalg.qr(noise(T, T).double()).Q
    again = 1 + distance
    k_11TK = keys_TT.clone()
    k_11TK[again] = keys_TT[1]
    v_TV = noise(T, K, seed=4).double()
    arguments = (k_11TK[None, None], k_11TK[None, None], v_TV[None, None])  # each token asks for its own key
    nothing_11KV, one_11T1 = torch.zeros(1, 1, T, K).double(), torch.ones(1, 1, T, 1).double()
    got_11TV, state_11KV = delta_rule(*arguments, one_11T1, nothing_11KV)
    torch.testing.assert_close(got_11TV[0, 0], v_TV)
    torch.testing.assert_close(keys_TT[1] @ state_11KV[0, 0], v_TV[again])
    # Half of the writing strength replaces half of the old value.
    half_11T1 = one_11T1.clone()
    half_11T1[0, 0, again] = 0.5
    state_11KV = delta_rule(*arguments, half_11T1, nothing_11KV)[1]
    torch.testing.assert_close(keys_TT[1] @ state_11KV[0, 0], (v_TV[1] + v_TV[again]) / 2)
    # Linear attention adds the two up.
    torch.testing.assert_close(keys_TT[1] @ causal_sums(*arguments, nothing_11KV)[1][0, 0], v_TV[1] + v_TV[again])


def test_features_add_up_to_one_so_that_the_state_stays_bounded() -> None:
    """Ten thousand writes of one value end in the state that answers it to any key; sums would grow with T."""
    k_1HTK = features(3 * noise(1, 2, 10_000, K))
    torch.testing.assert_close(k_1HTK.sum(-1), torch.ones(1, 2, 10_000))
    assert (k_1HTK > 0).all()
    v_1HTV, nothing_1HKV = torch.ones(1, 2, 10_000, K), torch.zeros(1, 2, K, K)
    answers_1HTV, state_1HKV = delta_rule(k_1HTK, k_1HTK, v_1HTV, torch.ones(1, 2, 10_000, 1), nothing_1HKV)
    torch.testing.assert_close(answers_1HTV[:, :, -1000:], v_1HTV[:, :, -1000:], atol=1e-4, rtol=1e-4)
    torch.testing.assert_close(state_1HKV, torch.ones(1, 2, K, K), atol=1e-3, rtol=1e-3)
    assert causal_sums(k_1HTK, k_1HTK, v_1HTV, nothing_1HKV)[1].abs().max() > 300


def test_both_sides_cannot_be_seen(attention, context) -> None:
    with pytest.raises(ValueError, match=r"fast_weight.*both sides"):
        attention(noise(1, 5, 32), context._replace(causal=False))


def test_gradients_cost_time_linear_in_length() -> None:
    """Counted as elements that the backward pass makes: eight times the chunks, eight times as many.

    An index into all the chunks inside the loop would make as many for each chunk as there are in all.
    """
    made = []
    for length in (16 * CHUNK, 128 * CHUNK):
        q, k, v = (noise(1, 1, length, 4, seed=seed).requires_grad_() for seed in (1, 2, 3))
        beta = torch.full((1, 1, length, 1), 0.1, requires_grad=True)
        out = delta_rule(F.normalize(q, dim=-1), F.normalize(k, dim=-1), v, beta, torch.zeros(1, 1, 4, 4))[0]
        with torch.profiler.profile(profile_memory=True) as profile:
            out.sum().backward()
        made.append(sum(max(event.self_cpu_memory_usage, 0) for event in profile.events()))
    assert made[1] < 10 * made[0]
