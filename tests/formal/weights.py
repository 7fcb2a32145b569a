"""The library's weights as the parameters of the paper: each head on its own, heads of one matrix cut apart."""

import numpy as np
import torch
from torch import Tensor, nn

from pipeline.models.settings import TransformerSettings
from tests.formal import literal
from tests.formal.literal import Array

State = dict[str, Tensor]


def decoder(network: nn.Module) -> literal.Decoder:
    """theta of DTransformer from a `Transformer` of the family decoder."""
    state = network.state_dict()
    W_e, W_p, W_u = _vocabulary(network, _numpy(network.output_matrix()))
    layers = tuple(_layer(state, f"stack.blocks.{n}.", network.settings) for n in range(network.settings.layers))
    return literal.Decoder(W_e, W_p, layers, norm(state, "stack.norm."), W_u)


def encoder(network: nn.Module) -> literal.Encoder:
    """theta of ETransformer from a `Transformer` of the family encoder with `output_transform`."""
    state = network.state_dict()
    W_e, W_p, W_u = _vocabulary(network, _numpy(network.output_matrix()))
    layers = tuple(_layer(state, f"stack.blocks.{n}.", network.settings) for n in range(network.settings.layers))
    W_f, b_f = _linear(state, "transform.")
    return literal.Encoder(W_e, W_p, layers, W_f, b_f, norm(state, "transform_norm."), W_u)


def encoder_decoder(network: nn.Module) -> literal.EncoderDecoder:
    """theta of EDTransformer from an `EncoderDecoder`, whose two halves must have equal tables of positions."""
    state, settings = network.state_dict(), network.settings
    W_e, W_p, W_u = _vocabulary(network.encoder, _numpy(network.output_matrix()))
    np.testing.assert_array_equal(positions(network.decoder_positions, settings), W_p)
    half_1 = tuple(_layer(state, f"encoder.stack.blocks.{n}.", settings) for n in range(settings.layers))
    half_2 = tuple(_cross_layer(state, f"decoder_stack.blocks.{n}.", settings) for n in range(settings.layers))
    return literal.EncoderDecoder(W_e, W_p, half_1, half_2, W_u)


def positions(module: nn.Module, settings: TransformerSettings) -> Array:
    """W_p: what the positions add to tokens of zeros."""
    zeros_1TE = torch.zeros(1, settings.max_positions, settings.token_width)
    return _numpy(module.add(zeros_1TE)[0]).T.copy()


def self_attention(state: State, prefix: str, settings: TransformerSettings) -> literal.MultiHead:
    """The heads of `qkv`, whose rows are queries, keys and values of all heads, and the matrix behind them."""
    weight, bias = _linear(state, f"{prefix}qkv.")
    return _multi_head(np.split(weight, 3), np.split(bias, 3), _linear(state, f"{prefix}out."), settings.heads)


def cross_attention(state: State, prefix: str, settings: TransformerSettings) -> literal.MultiHead:
    """The heads of `q` and `kv`, and the matrix behind them."""
    (W_q, b_q), (W_kv, b_kv) = _linear(state, f"{prefix}q."), _linear(state, f"{prefix}kv.")
    weights, biases = [W_q, *np.split(W_kv, 2)], [b_q, *np.split(b_kv, 2)]
    return _multi_head(weights, biases, _linear(state, f"{prefix}out."), settings.heads)


def norm(state: State, prefix: str) -> literal.Norm:
    """Scale and offset of a norm; an offset that is not there is 0."""
    gamma = _numpy(state[f"{prefix}weight"])
    return literal.Norm(gamma, _bias(state, prefix, len(gamma)))


def _vocabulary(network: nn.Module, matrix: Array) -> tuple[Array, Array, Array]:
    """W_e with the factor that tokens enter with, W_p, and W_u, which is a view of W_e where they are one matrix."""
    settings = network.settings
    scale = np.sqrt(settings.token_width) if settings.scale_embeddings else 1.0
    W_e = (_numpy(network.embeddings.weight) * scale).T
    W_u = W_e.T if np.array_equal(W_e.T, matrix) else matrix
    return W_e, positions(network.positions, settings), W_u


def _layer(state: State, prefix: str, settings: TransformerSettings) -> literal.Layer:
    return literal.Layer(
        self_attention(state, f"{prefix}attention.", settings),
        norm(state, f"{prefix}attention_residual.norm."),
        _mlp(state, f"{prefix}feed_forward."),
        norm(state, f"{prefix}feed_forward_residual.norm."),
    )


def _cross_layer(state: State, prefix: str, settings: TransformerSettings) -> literal.CrossLayer:
    return literal.CrossLayer(
        self_attention(state, f"{prefix}attention.", settings),
        norm(state, f"{prefix}attention_residual.norm."),
        cross_attention(state, f"{prefix}cross_attention.", settings),
        norm(state, f"{prefix}cross_residual.norm."),
        _mlp(state, f"{prefix}feed_forward."),
        norm(state, f"{prefix}feed_forward_residual.norm."),
    )


def _mlp(state: State, prefix: str) -> literal.MLP:
    return literal.MLP(*_linear(state, f"{prefix}up."), *_linear(state, f"{prefix}down."))


def _multi_head(weights: list[Array], biases: list[Array], out: tuple[Array, Array], heads: int) -> literal.MultiHead:
    """Cut the rows of queries, keys and values into heads."""
    per_head = zip(*(np.split(part, heads) for pair in zip(weights, biases, strict=True) for part in pair), strict=True)
    return literal.MultiHead(tuple(literal.Attention(*parts) for parts in per_head), *out)


def _linear(state: State, prefix: str) -> tuple[Array, Array]:
    weight = _numpy(state[f"{prefix}weight"])
    return weight, _bias(state, prefix, len(weight))


def _bias(state: State, prefix: str, width: int) -> Array:
    return _numpy(state[f"{prefix}bias"]) if f"{prefix}bias" in state else np.zeros(width)


def _numpy(tensor: Tensor) -> Array:
    """A copy in float64."""
    return tensor.detach().double().numpy().copy()
