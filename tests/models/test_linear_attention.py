"""Linear attention is what its paper's equations say; what holds of all kinds with a state of constant size."""

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

from pipeline.models import chunked
from pipeline.models.attention import ATTENTIONS
from pipeline.models.cache import Cache
from pipeline.models.context import Context
from pipeline.models.linear_attention import LinearAttention
from pipeline.models.positions import POSITIONS
from pipeline.models.weights import initialise

KINDS = ("linear", "performer", "fast_weight")
CHUNK = 8  # for the tests: sequences of several chunks that are still short
LENGTHS = (1, CHUNK - 1, CHUNK, CHUNK + 1, 3 * CHUNK + 5)


@pytest.fixture(autouse=True)
def short_chunks(monkeypatch) -> None:
    monkeypatch.setattr(chunked, "CHUNK", CHUNK)


@pytest.fixture
def make(tiny):
    """A module of a kind with its context maker: `make(kind, **settings) -> (module, context)`."""

    def of_kind(kind: str, **changes):
        settings = tiny(attention=kind, max_positions=64, features=24, **{"heads": 4, **changes})
        module = ATTENTIONS[kind](settings)
        initialise(module, seed=5)
        positions = POSITIONS[settings.positions](settings)
        return module, lambda causal=True, **more: Context(causal, None, positions, **more)

    return of_kind


def noise(*shape: int, seed: int = 2) -> Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


def literally(attention: LinearAttention, x_TD: Tensor, causal: bool) -> Tensor:
    """Equations 18-20 of the paper (or 5, without the mask), one head and one token at a time, in double precision."""
    T, K = x_TD.size(0), 8
    rows = F.linear(x_TD, attention.qkv.weight.double(), attention.qkv.bias.double())
    q_THK, k_THK, v_THK = rows.view(T, 3, attention.heads, K).unbind(1)
    y_THK = []
    for t in range(T):
        y_HK = []
        for h in range(attention.heads):
            s_KK, z_K = torch.zeros(K, K).double(), torch.zeros(K).double()
            for j in range(t + 1 if causal else T):
                phi_K = F.elu(k_THK[j, h]) + 1
                s_KK, z_K = s_KK + torch.outer(phi_K, v_THK[j, h]), z_K + phi_K
            phi_K = F.elu(q_THK[t, h]) + 1
            y_HK.append(phi_K @ s_KK / (phi_K @ z_K))
        y_THK.append(torch.cat(y_HK))
    return F.linear(torch.stack(y_THK), attention.out.weight.double(), attention.out.bias.double())


@pytest.mark.parametrize("causal", [True, False])
@pytest.mark.parametrize("length", LENGTHS)
def test_linear_attention_equals_a_literal_loop(make, length, causal) -> None:
    attention, context = make("linear", qk_norm=False, positions="none")
    x_1TD = noise(1, length, 32)
    expected_TD = literally(attention, x_1TD[0].double(), causal)
    torch.testing.assert_close(attention(x_1TD, context(causal))[0].double(), expected_TD, atol=1e-5, rtol=1e-5)


@pytest.mark.parametrize("causal", [True, False])
def test_gradients_equal_those_of_the_literal_loop(make, causal) -> None:
    attention, context = make("linear", qk_norm=False, positions="none")
    attention.double()
    x_1TD = noise(1, 2 * CHUNK + 3, 32).double().requires_grad_()
    wanted = [x_1TD, *attention.parameters()]
    got = torch.autograd.grad(attention(x_1TD, context(causal)).square().sum(), wanted)
    expected = torch.autograd.grad(literally(attention, x_1TD[0], causal).square().sum(), wanted)
    torch.testing.assert_close(got, expected, atol=1e-10, rtol=1e-8)


@pytest.mark.parametrize("kind", ["linear", "fast_weight"])
def test_with_rotary_positions_only_distances_count(make, kind) -> None:
    """The same tokens give the same, read from the first position on or from the thirtieth.

    (Performer's do so on the mean over its random features.)
    """
    attention, context = make(kind, qk_norm=False)
    x_BTD = 3 * noise(2, 20, 32)
    moved = Cache()
    moved.length = 30
    here, there = attention(x_BTD, context()), attention(x_BTD, context(cache=moved))
    torch.testing.assert_close(here, there, atol=1e-4, rtol=1e-4)
    without, context = make(kind, qk_norm=False, positions="none")
    assert not torch.allclose(here, without(x_BTD, context()), atol=1e-2)


def test_rotary_linear_attention_turns_the_features_above_and_not_below(make) -> None:
    """Su et al. 2021, equation 19, one query at a time."""
    attention, context = make("linear", qk_norm=False, heads=2)
    x_1TD, rotary = noise(1, 11, 32), context().positions
    q_THK, k_THK, v_THK = attention.qkv(x_1TD)[0].view(11, 3, 2, 16).unbind(1)
    phi_q_THK, phi_k_THK = F.elu(q_THK) + 1, F.elu(k_THK) + 1
    turned_q_THK, turned_k_THK = rotary.rotate(phi_q_THK[None])[0], rotary.rotate(phi_k_THK[None])[0]
    for causal, t, h in ((True, 7, 0), (True, 0, 1), (False, 4, 1)):
        seen = slice(0, t + 1 if causal else 11)
        weights_S = turned_k_THK[seen, h] @ turned_q_THK[t, h] / (phi_k_THK[seen, h] @ phi_q_THK[t, h]).sum()
        expected_K = weights_S @ v_THK[seen, h]
        attention.out.weight.data.copy_(torch.eye(32))
        found_D = attention(x_1TD, context(causal))[0, t] - attention.out.bias
        torch.testing.assert_close(found_D[16 * h : 16 * (h + 1)], expected_K, atol=1e-5, rtol=1e-5)


@pytest.mark.parametrize("reads", [(1,) * 20, (5, 1, 9, 1, 4)], ids=["one by one", "several at once"])
@pytest.mark.parametrize("kind", KINDS)
def test_reading_on_through_a_cache_equals_reading_all_at_once(make, kind, reads) -> None:
    """Rotary positions too: each token keeps the place that it has in the whole."""
    attention, context = make(kind, kv_heads=2)
    x_BTD, cache, parts = noise(3, 20, 32), Cache(), []
    for part_BTD in x_BTD.split(reads, dim=1):
        parts.append(attention(part_BTD, context(cache=cache)))
        cache.length += part_BTD.size(1)
    torch.testing.assert_close(torch.cat(parts, dim=1), attention(x_BTD, context()), atol=1e-5, rtol=1e-5)


@pytest.mark.parametrize("kind", KINDS)
def test_the_state_does_not_grow_with_what_was_read(make, kind) -> None:
    attention, context = make(kind)
    sizes = []
    for length in (1, 40):
        cache = Cache()
        attention(noise(2, length, 32), context(cache=cache))
        sizes.append(sum(part.numel() for part in cache.states[attention]))
    assert sizes[0] == sizes[1]


@pytest.mark.parametrize("kind", KINDS)
def test_a_beam_takes_its_state_along(make, kind) -> None:
    attention, context = make(kind)
    x_BTD, rows_B = noise(3, 12, 32), torch.tensor([2, 0, 2])
    cache = Cache()
    attention(x_BTD[:, :11], context(cache=cache))
    cache.length = 11
    cache.select(rows_B)
    last_B1D = attention(x_BTD[rows_B, 11:], context(cache=cache))
    torch.testing.assert_close(last_B1D, attention(x_BTD[rows_B], context())[:, 11:], atol=1e-5, rtol=1e-5)


@pytest.mark.parametrize("kind", KINDS)
def test_a_later_token_changes_no_earlier_output(make, kind) -> None:
    attention, context = make(kind)
    x_BTD = noise(2, 3 * CHUNK + 5, 32)
    before = attention(x_BTD, context())
    for t in (1, CHUNK - 1, CHUNK, 2 * CHUNK + 3):
        changed_BTD = x_BTD.clone()
        changed_BTD[:, t:] = noise(2, x_BTD.size(1) - t, 32, seed=3)
        after = attention(changed_BTD, context())
        torch.testing.assert_close(after[:, :t], before[:, :t], atol=1e-6, rtol=1e-5)
        assert not torch.allclose(after[:, t], before[:, t], atol=1e-3)


@pytest.mark.parametrize("kind", ["linear", "performer"])
def test_padding_changes_nothing_where_both_sides_are_seen(make, kind) -> None:
    attention, context = make(kind)
    x_BTD, lengths = noise(3, 20, 32), (20, 11, 1)
    keys_BS = torch.arange(20) < torch.tensor(lengths)[:, None]
    padded = attention(x_BTD, context(causal=False, keys_BS=keys_BS))
    for row, length in enumerate(lengths):
        alone = attention(x_BTD[row : row + 1, :length], context(causal=False))
        torch.testing.assert_close(padded[row, :length], alone[0], atol=1e-5, rtol=1e-5)
    assert not torch.allclose(padded[1, :11], attention(x_BTD, context(causal=False))[1, :11], atol=1e-3)


@pytest.mark.parametrize("kind", KINDS)
def test_grouped_heads_are_heads_of_keys_and_values_used_several_times(make, kind) -> None:
    grouped, context = make(kind, kv_heads=2)
    full, _ = make(kind)
    state = grouped.state_dict()
    for name in ("qkv.weight", "qkv.bias"):
        q, k, v = state[name].split([32, 16, 16])
        k, v = (part.unflatten(0, (2, 8)).repeat_interleave(2, 0).flatten(0, 1) for part in (k, v))
        state[name] = torch.cat([q, k, v])
    full.load_state_dict(state)
    x_BTD = noise(2, 13, 32)
    torch.testing.assert_close(grouped(x_BTD, context()), full(x_BTD, context()), atol=1e-6, rtol=1e-5)


@pytest.mark.parametrize("kind", KINDS)
def test_under_bf16_autocast_only_the_projections_are_rounded(make, kind) -> None:
    """In bf16 a sum over 60 tokens would be wrong by several percent; the result is the fp32 one to bf16's rounding."""
    attention, context = make(kind)
    x_BTD = noise(2, 60, 32)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        cache = Cache()
        got = attention(x_BTD, context(cache=cache))
    assert got.dtype == torch.bfloat16
    assert all(part.dtype == torch.float32 for part in cache.states[attention])
    expected = attention(x_BTD, context())
    assert (got.float() - expected).norm() < 0.02 * expected.norm()


@pytest.mark.parametrize("kind", KINDS)
def test_training_repeats_to_the_bit_under_deterministic_algorithms(make, kind) -> None:
    runs = []
    torch.use_deterministic_algorithms(True)
    try:
        for _ in range(2):
            attention, context = make(kind)
            out = attention(noise(2, 20, 32), context())
            runs.append([out, *torch.autograd.grad(out.square().sum(), list(attention.parameters()))])
    finally:
        torch.use_deterministic_algorithms(False)
    assert all(torch.equal(*pair) for pair in zip(*runs, strict=True))
    assert all(bool(part.isfinite().all()) and bool(part.any()) for part in runs[0])


@pytest.mark.parametrize("kind", KINDS)
def test_a_network_of_any_size_can_be_laid_out_without_memory(tiny, kind) -> None:
    with torch.device("meta"):
        module = ATTENTIONS[kind](tiny(attention=kind))
    assert all(tensor.is_meta for tensor in (*module.parameters(), *module.buffers()))


def test_without_normaliser_linear_attention_reads_a_sum_of_outer_products() -> None:
    """The fast-weight programmer of Schmidhuber 1991: W_t = W_{t-1} + v_t k_t^T, and y_t = W_t q_t."""
    q_1HTK, k_1HTK, v_1HTK = (noise(1, 2, 20, 4, seed=seed).double() for seed in (1, 2, 3))
    got_1HTK, state_1HKK = chunked.causal_sums(q_1HTK, k_1HTK, v_1HTK, torch.zeros(1, 2, 4, 4).double())
    for h in range(2):
        w_KK = torch.zeros(4, 4).double()
        for t in range(20):
            w_KK += torch.outer(v_1HTK[0, h, t], k_1HTK[0, h, t])
            torch.testing.assert_close(got_1HTK[0, h, t], w_KK @ q_1HTK[0, h, t])
        torch.testing.assert_close(state_1HKK[0, h], w_KK.T)


def test_large_inputs_give_finite_outputs_and_gradients(make) -> None:
    """Features of a very negative key vanish in fp32; the quotient must not become 0 / 0."""
    for kind in KINDS:
        attention, context = make(kind, qk_norm=False)
        x_BTD = (1e4 * noise(1, 12, 32)).requires_grad_()
        out = attention(x_BTD, context())
        (gradient,) = torch.autograd.grad(out.sum(), x_BTD)
        assert out.isfinite().all()
        assert gradient.isfinite().all()
