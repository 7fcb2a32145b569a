"""The library computes Algorithms 1-15 of Phuong & Hutter 2022: equal to their literal transcription to 1e-5.

The library runs in float32, on batches of rows; the transcription in float64, on one sequence of columns.
"""

from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from pipeline.models.attention import CrossAttention, SelfAttention
from pipeline.models.context import Context, Memory
from pipeline.models.norms import LayerNorm, RMSNorm
from pipeline.models.positions import Positions
from pipeline.models.settings import TransformerSettings
from tests.formal import literal, weights
from tests.formal.literal import Array
from tests.formal.networks import BERT, GPT, NO_EPSILON, ORIGINAL, random_network, randomise, shape

V, LONGEST = 20, 12
VARIANTS = [
    {},
    {"tied": True},
    {"bias": False},
    {"scale_embeddings": True},
    {"positions": "sinusoidal"},
    {"tied": True, "scale_embeddings": True, "positions": "sinusoidal"},
    {"heads": 1},
    {"head_width": 5},
]
variants = pytest.mark.parametrize("changes", VARIANTS, ids=lambda changes: "-".join(changes) or "paper")


def tokens(rows: int, length: int, seed: int = 3) -> Tensor:
    return torch.randint(0, V, (rows, length), generator=torch.Generator().manual_seed(seed))


def columns(rows: int, width: int, seed: int) -> Array:
    """A random sequence as the paper has it: `rows` tokens of `width` channels, each a column."""
    return np.random.Generator(np.random.PCG64(seed)).standard_normal((width, rows)).astype(np.float32).astype(float)


def as_batch(X: Array) -> Tensor:
    """Columns to a batch of one sequence of rows, (1, T, D)."""
    return torch.tensor(X.T, dtype=torch.float32)[None]


def assert_same(got: Tensor, expected: Array) -> None:
    np.testing.assert_allclose(got.detach().double().numpy(), expected, rtol=0, atol=1e-5)


def assert_same_distributions(logits_TV: Tensor, P: Array) -> None:
    """Probabilities and their logarithms; the paper's P has one column for each token."""
    log_TV = torch.log_softmax(logits_TV.double(), dim=1)
    assert_same(log_TV.exp(), P.T)
    np.testing.assert_allclose(log_TV.detach().numpy(), np.log(P.T), rtol=1e-5, atol=1e-5)


def plain(settings: TransformerSettings, causal: bool, memory: Memory | None = None) -> Context:
    """What attention is told when nothing is padded."""
    return Context(causal, None, Positions(settings), memory=memory)


def random_part(part: nn.Module) -> nn.Module:
    randomise(part, seed=5)
    return part


# The parts.


@pytest.mark.parametrize("scaled", [False, True])
def test_1_token_embedding(scaled: bool) -> None:
    network = random_network(shape(scale_embeddings=scaled, positions="none"), V)
    W_e = weights.decoder(network).W_e
    embedded_1TE = network.embed(torch.arange(V)[None, :LONGEST], None)
    assert_same(embedded_1TE[0], np.stack([literal.token_embedding(v, W_e) for v in range(LONGEST)]))


@pytest.mark.parametrize("positions", ["learned", "sinusoidal"])
@pytest.mark.parametrize("offset", [0, 3])
def test_2_positional_embedding(positions: str, offset: int) -> None:
    """Whichever table, token t gets column t of it, in a cached generation too."""
    network = random_network(shape(positions=positions), V)
    theta = weights.decoder(network)
    row_T = tokens(1, LONGEST)[0]
    assert_same(
        network.embed(row_T[None, offset:], None, offset)[0], literal.embed(row_T, theta.W_e, theta.W_p)[:, offset:].T
    )
    assert np.ptp(theta.W_p, axis=1).min() > 0  # no two positions alike


def test_2_sinusoids_are_those_of_the_first_transformer() -> None:
    W_p = weights.decoder(random_network(shape(positions="sinusoidal"), V)).W_p
    for position in range(LONGEST):
        for pair in range(16):
            angle = position / 10_000 ** (2 * pair / 32)
            expected = [np.sin(angle), np.cos(angle)]
            np.testing.assert_allclose(W_p[2 * pair : 2 * pair + 2, position], expected, atol=1e-6)


@pytest.mark.parametrize("causal", [True, False])
def test_3_single_query_attention(causal: bool) -> None:
    """Row t of one head is what token t gathers: from itself and those before it, or from all."""
    settings = shape(heads=1)
    module = random_part(SelfAttention(settings))
    W = weights.self_attention(module.state_dict(), "", settings)
    X = columns(6, 32, seed=2)
    got_TD = module(as_batch(X), plain(settings, causal))[0]
    for t in range(6):
        context = [X[:, other] for other in range(t + 1 if causal else 6)]
        gathered = literal.single_query_attention(X[:, t], context, W.heads[0])
        assert_same(got_TD[t], W.W_o @ gathered + W.b_o)


@pytest.mark.parametrize("heads", [1, 4])
@pytest.mark.parametrize("causal", [True, False])
def test_4_and_5_self_attention_with_either_mask(heads: int, causal: bool) -> None:
    settings = shape(heads=heads)
    module = random_part(SelfAttention(settings))
    X = columns(7, 32, seed=2)
    mask = literal.unidirectional(X) if causal else literal.everything(X, X)
    W = weights.self_attention(module.state_dict(), "", settings)
    assert_same(module(as_batch(X), plain(settings, causal))[0], literal.mh_attention(X, X, W, mask).T)


@pytest.mark.parametrize("heads", [1, 4])
@pytest.mark.parametrize("length_z", [1, 9])
def test_4_and_5_cross_attention(heads: int, length_z: int) -> None:
    settings = shape(heads=heads, **ORIGINAL)
    module = random_part(CrossAttention(settings))
    X, Z = columns(5, 32, seed=2), columns(length_z, 32, seed=3)
    got_TD = module(as_batch(X), plain(settings, False, Memory(as_batch(Z), None)))[0]
    W = weights.cross_attention(module.state_dict(), "", settings)
    assert_same(got_TD, literal.mh_attention(X, Z, W, literal.everything(Z, X)).T)


def test_4_the_mask_leaves_what_algorithm_3_gives_for_each_token() -> None:
    """The transcription agrees with itself: attention is single-query attention of every token."""
    settings = shape(heads=1)
    W = weights.self_attention(random_part(SelfAttention(settings)).state_dict(), "", settings).heads[0]
    X = columns(5, 32, seed=2)
    together = literal.attention(X, X, W, literal.unidirectional(X))
    alone = [literal.single_query_attention(X[:, t], list(X[:, : t + 1].T), W) for t in range(5)]
    np.testing.assert_allclose(together, np.stack(alone, axis=1), atol=1e-12)


def test_6_layer_norm_and_rms_norm() -> None:
    X = columns(4, 32, seed=2) * 3 + 1
    layer, rms = random_part(LayerNorm(32, NO_EPSILON, bias=True)), random_part(RMSNorm(32, NO_EPSILON, bias=True))
    parameters = weights.norm(layer.state_dict(), "")
    assert_same(layer(as_batch(X))[0], literal.norm_columns(X, parameters).T)
    gamma = weights.norm(rms.state_dict(), "").gamma
    assert_same(rms(as_batch(X))[0], np.stack([literal.rms_norm(X[:, t], gamma) for t in range(4)]))


@pytest.mark.parametrize("tied", [True, False])
def test_7_unembedding(tied: bool) -> None:
    network = random_network(shape(tied=tied), V)
    W_u = weights.decoder(network).W_u
    X = columns(4, 32, seed=2)
    P = np.stack([literal.unembedding(X[:, t], W_u) for t in range(4)], axis=1)
    assert_same_distributions(network.unembed(as_batch(X)[0]), P)


# The architectures.


@variants
def test_8_encoder_decoder_transformer(changes: dict[str, Any]) -> None:
    network = random_network(shape(**ORIGINAL, **changes), V)
    theta = weights.encoder_decoder(network)
    z_BS, x_BT = tokens(3, 9), tokens(3, 6, seed=4)
    hidden_BTD = network(x_BT, source_BS=z_BS)
    for z, x, hidden_TD in zip(z_BS.tolist(), x_BT.tolist(), hidden_BTD, strict=True):
        assert_same_distributions(network.unembed(hidden_TD), literal.ed_transformer(z, x, theta))


@variants
def test_9_encoder_transformer(changes: dict[str, Any]) -> None:
    network = random_network(shape(**BERT, **changes), V)
    theta = weights.encoder(network)
    x_BT = tokens(3, 8)
    for x, hidden_TD in zip(x_BT.tolist(), network(x_BT), strict=True):
        assert_same_distributions(network.unembed(hidden_TD), literal.e_transformer(x, theta))


@variants
def test_10_decoder_transformer(changes: dict[str, Any]) -> None:
    network = random_network(shape(**GPT, **changes), V)
    theta = weights.decoder(network)
    x_BT = tokens(3, 8)
    for x, hidden_TD in zip(x_BT.tolist(), network(x_BT), strict=True):
        assert_same_distributions(network.unembed(hidden_TD), literal.d_transformer(x, theta))


def test_rows_of_unequal_length_are_each_what_the_paper_computes_of_it_alone() -> None:
    """The paper has no padding; behind the end of a row it changes nothing in any of the three architectures."""
    lengths_B = torch.tensor([8, 3, 1])
    x_BT = tokens(3, 8)
    rows = [row[:length] for row, length in zip(x_BT.tolist(), lengths_B.tolist(), strict=True)]
    gpt, bert = (random_network(shape(**kind), V) for kind in (GPT, BERT))
    original = random_network(shape(**ORIGINAL), V)
    y_BT = tokens(3, 5, seed=4)
    d_BTD, e_BTD = gpt(x_BT, lengths_B=lengths_B), bert(x_BT, lengths_B=lengths_B)
    ed_BTD = original(y_BT, source_BS=x_BT, lengths_B=lengths_B)
    for number, row in enumerate(rows):
        alone = literal.d_transformer(row, weights.decoder(gpt))
        assert_same_distributions(gpt.unembed(d_BTD[number, : len(row)]), alone)
        alone = literal.e_transformer(row, weights.encoder(bert))
        assert_same_distributions(bert.unembed(e_BTD[number, : len(row)]), alone)
        alone = literal.ed_transformer(row, y_BT[number].tolist(), weights.encoder_decoder(original))
        assert_same_distributions(original.unembed(ed_BTD[number]), alone)


def test_resi_dual_keeps_two_streams() -> None:
    """Not in the paper: Algorithm 10 with the third placement of norms (Xie et al. 2023, arXiv 2304.14802)."""
    network = random_network(shape(**{**GPT, "placement": "resi_dual"}), V)
    theta = weights.decoder(network)
    x_BT = tokens(1, 8)
    X = S = literal.embed(x_BT[0].tolist(), theta.W_e, theta.W_p)
    for layer in theta.layers:
        update = literal.mh_attention(X, X, layer.attention, literal.unidirectional(X))
        X, S = literal.norm_columns(X + update, layer.norm_1), S + update
        update = literal.feed_forward(X, layer.mlp, literal.gelu)
        X, S = literal.norm_columns(X + update, layer.norm_2), S + update
    assert_same(network(x_BT)[0], (X + literal.norm_columns(S, theta.norm)).T)
