"""What attention, positions and norms leave unchanged, as identities that hold for any weights and inputs."""

from collections.abc import Callable

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from pipeline.models.attention import CrossAttention
from pipeline.models.context import Context, Memory
from pipeline.models.norms import LayerNorm, RMSNorm
from pipeline.models.positions import POSITIONS, Positions
from tests.formal.networks import random_network, randomise, shape

V, T = 20, 9
TOKENS_BT = torch.randint(0, V, (2, T), generator=torch.Generator().manual_seed(1))
ORDER_T = torch.tensor([4, 1, 8, 0, 2, 7, 3, 6, 5])


def noise(*sizes: int, seed: int = 2) -> Tensor:
    return torch.randn(*sizes, generator=torch.Generator().manual_seed(seed))


def same(got: Tensor, expected: Tensor) -> bool:
    return torch.allclose(got, expected, rtol=0, atol=1e-4)


# Positions.


@pytest.mark.parametrize("k", [1, 2, 11])
def test_sinusoids_k_tokens_on_are_one_rotation_of_those_here(k: int) -> None:
    """PE(p + k) = R_k PE(p) for every p, R_k orthogonal (Vaswani et al. 2017, section 3.5)."""
    D, longest = 32, 64
    positions = POSITIONS["sinusoidal"](shape(width=D, max_positions=longest))
    table_TD = positions.add(torch.zeros(1, longest, D))[0].double()
    R_k = torch.zeros(D, D, dtype=torch.float64)
    for pair in range(0, D, 2):
        turn = torch.tensor(k / 10_000 ** (pair / D), dtype=torch.float64)
        block = torch.stack([turn.cos(), turn.sin(), -turn.sin(), turn.cos()]).view(2, 2)
        R_k[pair : pair + 2, pair : pair + 2] = block
    torch.testing.assert_close(R_k @ R_k.T, torch.eye(D, dtype=torch.float64))
    torch.testing.assert_close(table_TD[k:], table_TD[:-k] @ R_k.T, rtol=0, atol=1e-5)


def test_rotary_scores_depend_on_the_distance_alone() -> None:
    """Su et al. 2021, equation 16: (R_m q) . (R_n k) = q . R_(n - m) k."""
    settings = shape(positions="rotary", max_positions=64)
    rotary, (q_11HK, k_11HK) = POSITIONS["rotary"](settings), noise(2, 1, 1, settings.heads, settings.key_width)

    def scores_H(m: int, n: int) -> Tensor:
        return (rotary.rotate(q_11HK[None], m) * rotary.rotate(k_11HK[None], n)).sum(-1)

    for m, n in [(5, 0), (5, 5), (3, 12)]:
        for shift in (1, 7, 50):
            torch.testing.assert_close(scores_H(m + shift, n + shift), scores_H(m, n), rtol=0, atol=1e-4)
        assert not same(scores_H(m + 1, n), scores_H(m, n))


@pytest.mark.parametrize("name", ["alibi", "t5"])
def test_biases_of_scores_depend_on_the_distance_alone(name: str) -> None:
    positions = POSITIONS[name](shape(positions=name))
    randomise(positions, seed=3)
    bias_HTT = positions.bias(T)[0]
    assert torch.equal(bias_HTT[:, 1:, 1:], bias_HTT[:, :-1, :-1])
    assert len(bias_HTT[0, -1].unique()) > T // 2


def test_alibi_of_slope_zero_is_no_position() -> None:
    alibi = random_network(shape(positions="alibi"), V)
    none = random_network(shape(positions="none"), V)
    none.load_state_dict(alibi.state_dict())
    assert not same(alibi(TOKENS_BT), none(TOKENS_BT))
    alibi.positions.slopes_H.zero_()
    assert same(alibi(TOKENS_BT), none(TOKENS_BT))


@pytest.mark.parametrize("name", sorted(POSITIONS))
def test_an_encoder_knows_the_order_of_its_tokens_from_their_positions_alone(name: str) -> None:
    """Without positions, tokens in another order give the same states in that order; with any, they do not."""
    encoder = random_network(shape(family="encoder", positions=name), V)
    in_order = same(encoder(TOKENS_BT[:, ORDER_T]), encoder(TOKENS_BT)[:, ORDER_T])
    assert in_order == (name == "none")


def test_a_decoder_knows_something_of_the_order_without_positions() -> None:
    """The causal mask tells it how many tokens came before (Haviv et al. 2022), but not which came in what order."""
    decoder = random_network(shape(positions="none", layers=1), V)
    swapped = [1, 0, *range(2, T)]
    before, after = decoder(TOKENS_BT), decoder(TOKENS_BT[:, swapped])
    assert not same(after[:, :2], before[:, swapped][:, :2])
    assert same(after[:, 2:], before[:, 2:])  # one layer sees a set of keys


def test_what_is_gathered_from_a_memory_does_not_depend_on_its_order() -> None:
    settings = shape(family="encoder_decoder")
    cross = CrossAttention(settings)
    randomise(cross, seed=3)
    x_BTD, memory_BSD = noise(2, 5, 32), noise(2, T, 32, seed=4)

    def gathered(order_S: Tensor) -> Tensor:
        return cross(x_BTD, Context(False, None, Positions(settings), memory=Memory(memory_BSD[:, order_S], None)))

    assert same(gathered(ORDER_T), gathered(torch.arange(T)))
    assert not same(gathered(ORDER_T[:-1]), gathered(torch.arange(T)))


# Softmax: a number added to all scores of a query changes nothing.


def add_to_bias(part: int) -> Callable[[nn.Module], None]:
    """Change a bias in each block: 0 of queries, 1 of keys, 2 of values."""

    @torch.no_grad()
    def change(network: nn.Module) -> None:
        for number, block in enumerate(network.stack.blocks):
            bias = block.attention.qkv.bias.chunk(3)[part]
            bias.add_(noise(len(bias), seed=number))

    return change


@torch.no_grad()
def add_to_every_distance(network: nn.Module) -> None:
    network.positions.table.weight += noise(network.settings.heads)


@torch.no_grad()
def add_to_one_distance(network: nn.Module) -> None:
    network.positions.table.weight[1] += noise(network.settings.heads)


SHIFTS = [
    ("none", add_to_bias(1), True),  # q . (k + b) = q . k + q . b, the second the same for all keys
    ("learned", add_to_bias(1), True),
    ("rotary", add_to_bias(1), False),  # b is turned by each key's own position
    ("none", add_to_bias(0), False),
    ("none", add_to_bias(2), False),
    ("t5", add_to_every_distance, True),
    ("t5", add_to_one_distance, False),
]


@pytest.mark.parametrize(("positions", "shift", "unchanged"), SHIFTS)
@pytest.mark.parametrize("family", ["decoder", "encoder"])
def test_a_shift_of_all_scores_of_a_query_changes_nothing(
    family: str, positions: str, shift: Callable[[nn.Module], None], unchanged: bool
) -> None:
    network = random_network(shape(family=family, positions=positions), V)
    before = network(TOKENS_BT)
    shift(network)
    assert same(network(TOKENS_BT), before) == unchanged


# Norms.


def test_layer_norm_forgets_size_and_mean_and_rms_norm_size_alone() -> None:
    x_BD = noise(4, 32)
    layer, rms = LayerNorm(32, 1e-12, bias=True), RMSNorm(32, 1e-12, bias=True)
    randomise(layer, seed=1)
    randomise(rms, seed=1)
    for norm in (layer, rms):
        assert same(norm(3 * x_BD), norm(x_BD))
        assert not same(norm(-x_BD), norm(x_BD))
    assert same(layer(x_BD + 2), layer(x_BD))
    assert not same(rms(x_BD + 2), rms(x_BD))


def test_layer_norm_is_rms_norm_of_what_is_left_without_the_mean() -> None:
    x_BD = noise(4, 32) + 1
    layer, rms = LayerNorm(32, 1e-5, bias=False), RMSNorm(32, 1e-5, bias=False)
    randomise(layer, seed=1)
    rms.load_state_dict(layer.state_dict())
    assert same(layer(x_BD), rms(x_BD - x_BD.mean(1, keepdim=True)))


def test_post_norm_hands_on_states_of_one_size_and_pre_norm_a_stream_that_grows() -> None:
    """Xiong et al. 2020, lemma 2: what enters block n + 1 of Pre-LN has a squared size that grows with n."""
    sizes: dict[str, list[float]] = {}
    for placement in ("post", "pre"):
        network = random_network(shape(placement=placement, layers=6), V)
        for name, parameter in network.named_parameters():
            if name.endswith("norm.weight"):
                nn.init.ones_(parameter)
        seen: list[float] = []
        for block in network.stack.blocks:
            block.register_forward_hook(lambda _, __, out, seen=seen: seen.append(out.square().mean().item()))
        network(TOKENS_BT)
        sizes[placement] = seen
    assert np.ptp(sizes["post"]) < 0.2
    assert all(after > before for before, after in zip(sizes["pre"], sizes["pre"][1:], strict=False))
    assert sizes["pre"][-1] > 2 * sizes["pre"][0]
