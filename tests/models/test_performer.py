"""Performer's features estimate the softmax kernel, better the more there are; its attention is their quotient."""

import math

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

from pipeline.models import chunked
from pipeline.models.attention import SelfAttention
from pipeline.models.cache import Cache
from pipeline.models.context import Context
from pipeline.models.performer import Performer, orthogonal_rows
from pipeline.models.positions import Positions
from pipeline.models.weights import initialise

HEADS, K = 4, 8


def noise(*shape: int, seed: int = 2) -> Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


@pytest.fixture
def make(tiny):
    def performer(features: int):
        settings = tiny(attention="performer", heads=HEADS, features=features, qk_norm=False, max_positions=64)
        attention = Performer(settings)
        initialise(attention, seed=5)
        return attention, Context(True, None, Positions(settings))

    return performer


def literally(attention: Performer, x_TD: Tensor, causal: bool) -> Tensor:
    """Lemma 1 and the quotient of algorithm 1, token by token, in double precision, without any stabiliser."""
    T, M = x_TD.size(0), attention.projection_HMK.size(1)
    rows = F.linear(x_TD, attention.qkv.weight.double(), attention.qkv.bias.double())
    q_THK, k_THK, v_THK = rows.view(T, 3, HEADS, K).unbind(1)

    def phi(x_K: Tensor, head: int) -> Tensor:
        x_K = x_K / K**0.25
        return (
            torch.stack([(w_K @ x_K - x_K @ x_K / 2).exp() for w_K in attention.projection_HMK[head].double()]) / M**0.5
        )

    y_THK = []
    for t in range(T):
        y_HK = []
        for h in range(HEADS):
            seen = range(t + 1 if causal else T)
            weights = torch.stack([phi(q_THK[t, h], h) @ phi(k_THK[s, h], h) for s in seen])
            y_HK.append(weights @ v_THK[: len(seen), h] / weights.sum())
        y_THK.append(torch.cat(y_HK))
    return F.linear(torch.stack(y_THK), attention.out.weight.double(), attention.out.bias.double())


@pytest.mark.parametrize("causal", [True, False])
def test_performer_equals_a_literal_loop(make, causal, monkeypatch) -> None:
    monkeypatch.setattr(chunked, "CHUNK", 4)
    attention, context = make(12)
    x_1TD = noise(1, 9, 32)
    got_TD = attention(x_1TD, context._replace(causal=causal))[0]
    expected_TD = literally(attention, x_1TD[0].double(), causal)
    torch.testing.assert_close(got_TD.double(), expected_TD, atol=1e-5, rtol=1e-5)


def test_gradients_equal_those_of_the_literal_loop(make, monkeypatch) -> None:
    """The factors that keep features in range cancel in the gradient too."""
    monkeypatch.setattr(chunked, "CHUNK", 4)
    attention, context = make(12)
    attention.double()
    x_1TD = noise(1, 7, 32).double().requires_grad_()
    wanted = [x_1TD, *attention.parameters()]
    got = torch.autograd.grad(attention(x_1TD, context).square().sum(), wanted)
    expected = torch.autograd.grad(literally(attention, x_1TD[0], causal=True).square().sum(), wanted)
    torch.testing.assert_close(got, expected, atol=1e-10, rtol=1e-8)


def with_large_keys(attention: Performer) -> Performer:
    """The same with keys of RMS 6 for inputs of RMS 1: exponents about -50, and for inputs twice as large -200."""
    with torch.no_grad():
        attention.qkv.weight[HEADS * K : 2 * HEADS * K] *= 6 / attention.qkv.std / 32**0.5
    return attention


# Inputs as large as usual, tiny and twice as large: keys that count much, or nothing, beside those before and after.
SIZES = [2, 2, 1, 0.01, 2, 1, 2, 2, 1, 0.01, 2, 1, 1]


@pytest.mark.parametrize("causal", [True, False])
def test_keys_of_any_size_count_as_the_literal_loop_says(make, causal, monkeypatch) -> None:
    """exp of the exponents themselves would be 0 in fp32."""
    monkeypatch.setattr(chunked, "CHUNK", 4)
    attention, context = make(12)
    x_1TD = noise(1, len(SIZES), 32) * torch.tensor(SIZES)[:, None]
    got_TD = with_large_keys(attention)(x_1TD, context._replace(causal=causal))[0]
    expected_TD = literally(attention, x_1TD[0].double(), causal)
    torch.testing.assert_close(got_TD.double(), expected_TD, atol=1e-4, rtol=1e-3)


@pytest.fixture
def ones(tiny) -> tuple[Performer, Context]:
    """Two heads of 64 with keys of RMS 8 whose every value is 1; the output is what the heads say."""
    settings = tiny(attention="performer", width=128, features=128, qk_norm=False, max_positions=64)
    attention = Performer(settings)
    initialise(attention, seed=5)
    with torch.no_grad():
        attention.qkv.weight[128:256] *= 8 / attention.qkv.std / 128**0.5
        attention.qkv.weight[256:], attention.qkv.bias[256:] = 0, 1
        attention.out.weight.copy_(torch.eye(128))
    return attention, Context(True, None, Positions(settings))


@pytest.mark.parametrize("sizes", [[1.0] * 24, [1.0, 0.01, 1.0, 1.0] * 6], ids=["large", "large and tiny"])
def test_attention_to_ones_gives_ones_however_long_the_keys_are(ones, sizes, monkeypatch) -> None:
    """An average of ones is one: nothing underflows, in the heads' mean nor between the parts of one reading."""
    monkeypatch.setattr(chunked, "CHUNK", 8)
    attention, context = ones
    x_BTD = noise(3, 24, 128) * torch.tensor(sizes)[:, None]
    keys_BS = torch.arange(24) < torch.tensor([24, 12, 1])[:, None]
    cache = Cache()
    read = {
        "causal": attention(x_BTD, context),
        "both sides": attention(x_BTD, context._replace(causal=False)),
        "padded": attention(x_BTD, context._replace(causal=False, keys_BS=keys_BS)),
        "in parts": torch.cat(
            [attention(part, context._replace(cache=cache)) for part in x_BTD.split((1, 9, 14), 1)], 1
        ),
    }
    for how, y_BTD in read.items():
        torch.testing.assert_close(
            y_BTD, torch.ones_like(y_BTD), atol=1e-4, rtol=0, msg=lambda text, how=how: f"{how}: {text}"
        )


def test_a_later_key_of_any_size_changes_nothing_before_it(make, monkeypatch) -> None:
    """Not even a rounding: the factor that keeps keys in range is of those up to each query alone."""
    monkeypatch.setattr(chunked, "CHUNK", 4)
    attention, context = make(12)
    with_large_keys(attention)
    x_1TD = noise(1, 10, 32)
    before = attention(x_1TD, context)
    for size in (0.0, 0.01, 3.0):
        changed_1TD = torch.cat([x_1TD[:, :6], size * noise(1, 4, 32, seed=3)], 1)
        assert torch.equal(attention(changed_1TD, context)[:, :6], before[:, :6])


def kernel_error(attention: Performer) -> float:
    """Root mean square relative error of phi(q) . phi(k) as an estimate of exp(q . k / sqrt(K)).

    Of queries and keys of one length: the relative variance grows as exp(|q + k|^2 / sqrt(K)).
    """
    q_1HTK, k_1HTK = (1.5 * F.normalize(noise(1, HEADS, 64, K, seed=seed), dim=-1) for seed in (3, 4))
    q_1HTM, k_1HTM = (
        features * log_1HT.exp()[..., None] for features, log_1HT in map(attention.features, (q_1HTK, k_1HTK))
    )
    estimated = q_1HTM @ k_1HTM.mT
    true = (q_1HTK @ k_1HTK.mT / math.sqrt(K)).exp()
    return float((estimated / true - 1).square().mean().sqrt())


def test_the_error_of_the_kernel_falls_with_the_root_of_the_number_of_features(make) -> None:
    errors = [kernel_error(make(features)[0]) for features in (64, 1024, 16_384)]
    assert errors[0] > 2 * errors[1] > 4 * errors[2]
    # 256 times as many features, a 16th of the error: within a factor of 2, as each is one draw of four heads.
    assert 8 < errors[0] / errors[2] < 32
    assert errors[2] < 0.03


def test_attention_approaches_that_of_the_softmax(make, tiny) -> None:
    softmax = SelfAttention(tiny(heads=HEADS, qk_norm=False))
    initialise(softmax, seed=5)
    x_BTD, errors = 0.5 * noise(2, 20, 32), []
    for features in (16, 256, 4096):
        performer, context = make(features)
        performer.load_state_dict(softmax.state_dict())  # the random features are no weights
        with torch.no_grad():
            exact_BTD = softmax(x_BTD, context)
            errors.append(float((performer(x_BTD, context) - exact_BTD).norm() / exact_BTD.norm()))
    assert errors[0] > 2 * errors[1] > 4 * errors[2]
    assert errors[2] < 0.02


def test_features_are_orthogonal_in_blocks_and_as_long_as_gaussian_vectors() -> None:
    rows_MK = orthogonal_rows(20 * 64 + 10, 64, np.random.Generator(np.random.PCG64(1)))
    assert rows_MK.shape == (20 * 64 + 10, 64)
    for start in range(0, len(rows_MK), 64):
        block = rows_MK[start : start + 64]
        products = block @ block.T
        np.testing.assert_allclose(products, np.diag(np.diag(products)), atol=1e-10)
    # The squared length of a Gaussian vector is chi-squared: mean 64, variance 128.
    squares = (rows_MK**2).sum(axis=1)
    assert abs(squares.mean() - 64) < 5 * math.sqrt(128 / len(squares))
    assert 0.8 < squares.var() / 128 < 1.2
    # Each coordinate by itself is a standard normal number.
    assert abs(rows_MK.mean()) < 5 / math.sqrt(rows_MK.size)
    assert abs((rows_MK**4).mean() - 3) < 0.2


def test_orthogonal_features_estimate_better_than_independent_ones(make) -> None:
    """Theorem 2 of the paper, which is why they are orthogonal."""
    attention, _ = make(K)
    generator = np.random.Generator(np.random.PCG64(7))
    errors = {"orthogonal": 0.0, "independent": 0.0}
    for _ in range(200):
        for name in errors:
            rows = [
                orthogonal_rows(K, K, generator) if name == "orthogonal" else generator.standard_normal((K, K))
                for _ in range(HEADS)
            ]
            attention.projection_HMK = torch.tensor(np.stack(rows), dtype=torch.float32)
            errors[name] += kernel_error(attention) ** 2
    assert errors["orthogonal"] < 0.95 * errors["independent"]


def test_features_are_the_same_in_every_network_and_in_no_file(make) -> None:
    state = torch.get_rng_state()
    first, second = make(24)[0], make(24)[0]
    assert torch.equal(first.projection_HMK, second.projection_HMK)
    assert not torch.equal(first.projection_HMK[0], first.projection_HMK[1])
    assert torch.equal(torch.get_rng_state(), state)
    assert not any("projection" in name for name in first.state_dict())
