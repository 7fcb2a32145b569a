"""Algorithms 1-10 of "Formal Algorithms for Transformers" (Phuong & Hutter 2022, arXiv 2207.09238), step by step.

Slow on purpose: float64 NumPy, one sequence at a time, no cache. It shares no code with the library, so that the two
can only agree by both being right. Algorithms 11-15, the loops, are in `literal_loops.py`.

Conventions of the paper: tokens are *columns*, X in R^(d x length), and weights multiply from the left, W X + b 1^T.
The library has tokens as rows. Tokens, positions and channels are counted from 0 here and from 1 in the paper; V is
the number of entries of the vocabulary. theta stands for all parameters of one network.
"""

import math
from collections.abc import Callable, Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]


class Attention(NamedTuple):
    """W_qkv: of one head."""

    W_q: Array  # (d_attn, d_x)
    b_q: Array  # (d_attn)
    W_k: Array  # (d_attn, d_z)
    b_k: Array
    W_v: Array  # (d_mid, d_z)
    b_v: Array


class MultiHead(NamedTuple):
    """W: all heads and what joins them."""

    heads: tuple[Attention, ...]
    W_o: Array  # (d_out, H d_mid)
    b_o: Array


class Norm(NamedTuple):
    """Scale and offset of a layer norm, each of d_e channels."""

    gamma: Array
    beta: Array


class MLP(NamedTuple):
    """The two matrices of a feed-forward layer."""

    W_1: Array  # (d_mlp, d_e)
    b_1: Array
    W_2: Array  # (d_e, d_mlp)
    b_2: Array


class Layer(NamedTuple):
    """One layer of an encoder, or of a decoder on its own."""

    attention: MultiHead
    norm_1: Norm
    mlp: MLP
    norm_2: Norm


class CrossLayer(NamedTuple):
    """One layer of the decoder of an encoder-decoder."""

    attention: MultiHead
    norm_3: Norm
    cross: MultiHead
    norm_4: Norm
    mlp: MLP
    norm_5: Norm


class Decoder(NamedTuple):
    """theta of DTransformer."""

    W_e: Array  # (d_e, V)
    W_p: Array  # (d_e, l_max)
    layers: tuple[Layer, ...]
    norm: Norm
    W_u: Array  # (V, d_e)


class Encoder(NamedTuple):
    """theta of ETransformer; `W_f`, `b_f` are its final projection to d_f channels."""

    W_e: Array
    W_p: Array
    layers: tuple[Layer, ...]
    W_f: Array  # (d_f, d_e)
    b_f: Array
    norm: Norm
    W_u: Array  # (V, d_f)


class EncoderDecoder(NamedTuple):
    """theta of EDTransformer; both halves share `W_e` and `W_p`."""

    W_e: Array
    W_p: Array
    encoder: tuple[Layer, ...]
    decoder: tuple[CrossLayer, ...]
    W_u: Array


def token_embedding(v: int, W_e: Array) -> Array:
    """Algorithm 1: the column of token v."""
    return W_e[:, v]


def positional_embedding(t: int, W_p: Array) -> Array:
    """Algorithm 2: the column of position t."""
    return W_p[:, t]


def embed(x: Sequence[int], W_e: Array, W_p: Array) -> Array:
    """How every architecture starts: the columns W_e[:, x[t]] + W_p[:, t]."""
    return np.stack([token_embedding(v, W_e) + positional_embedding(t, W_p) for t, v in enumerate(x)], axis=1)


def single_query_attention(e: Array, context: Sequence[Array], W: Attention) -> Array:
    """Algorithm 3: what the token e gathers from the tokens of `context`, each a vector."""
    q = W.W_q @ e + W.b_q
    keys = [W.W_k @ e_t + W.b_k for e_t in context]
    values = [W.W_v @ e_t + W.b_v for e_t in context]
    weights = [math.exp(q @ k / math.sqrt(len(q))) for k in keys]
    return sum((a / sum(weights)) * v for a, v in zip(weights, values, strict=True))


def softmax(S: Array) -> Array:
    """Each column to a probability distribution; -inf gives 0."""
    E = np.exp(S - S.max(axis=0))
    return E / E.sum(axis=0)


def attention(X: Array, Z: Array, W: Attention, mask: NDArray[np.bool_]) -> Array:
    """Algorithm 4: the columns of X gather from those of Z; `mask[t_z, t_x]`: t_x may look at t_z."""
    Q = W.W_q @ X + W.b_q[:, None]
    K = W.W_k @ Z + W.b_k[:, None]
    V = W.W_v @ Z + W.b_v[:, None]
    S = K.T @ Q
    for t_z in range(Z.shape[1]):
        for t_x in range(X.shape[1]):
            if not mask[t_z, t_x]:
                S[t_z, t_x] = -np.inf
    return V @ softmax(S / math.sqrt(len(Q)))


def mh_attention(X: Array, Z: Array, W: MultiHead, mask: NDArray[np.bool_]) -> Array:
    """Algorithm 5: several heads beside each other, and one matrix that joins them."""
    Y = np.concatenate([attention(X, Z, head, mask) for head in W.heads], axis=0)
    return W.W_o @ Y + W.b_o[:, None]


def everything(Z: Array, X: Array) -> NDArray[np.bool_]:
    """The mask of bidirectional and of cross-attention: 1 throughout."""
    return np.ones((Z.shape[1], X.shape[1]), dtype=bool)


def unidirectional(X: Array) -> NDArray[np.bool_]:
    """The mask [[t <= t']]."""
    return np.array([[t <= later for later in range(X.shape[1])] for t in range(X.shape[1])])


def layer_norm(e: Array, norm: Norm) -> Array:
    """Algorithm 6, of one token's vector."""
    m = e.sum() / len(e)
    v = ((e - m) ** 2).sum() / len(e)
    return (e - m) / math.sqrt(v) * norm.gamma + norm.beta


def rms_norm(e: Array, gamma: Array) -> Array:
    """Algorithm 6 with m = beta = 0, which the paper names RMSnorm."""
    return e / math.sqrt((e**2).sum() / len(e)) * gamma


def norm_columns(X: Array, norm: Norm) -> Array:
    """Algorithm 6 for every token."""
    return np.stack([layer_norm(X[:, t], norm) for t in range(X.shape[1])], axis=1)


def unembedding(e: Array, W_u: Array) -> Array:
    """Algorithm 7: a distribution over the vocabulary from one token's vector."""
    return softmax(W_u @ e)


def gelu(X: Array) -> Array:
    """x times the probability that a standard normal number is below x."""
    return X * np.vectorize(lambda x: (1 + math.erf(x / math.sqrt(2))) / 2)(X)


def relu(X: Array) -> Array:
    """max(0, x)."""
    return np.where(X > 0, X, 0.0)


def feed_forward(X: Array, W: MLP, activation: Callable[[Array], Array]) -> Array:
    """W_2 activation(W_1 X + b_1 1^T) + b_2 1^T."""
    return W.W_2 @ activation(W.W_1 @ X + W.b_1[:, None]) + W.b_2[:, None]


def encode(z: Sequence[int], theta: EncoderDecoder) -> Array:
    """The first half of Algorithm 8: the context as the decoder will see it."""
    Z = embed(z, theta.W_e, theta.W_p)
    for layer in theta.encoder:
        Z = norm_columns(Z + mh_attention(Z, Z, layer.attention, everything(Z, Z)), layer.norm_1)
        Z = norm_columns(Z + feed_forward(Z, layer.mlp, relu), layer.norm_2)
    return Z


def ed_transformer(z: Sequence[int], x: Sequence[int], theta: EncoderDecoder) -> Array:
    """Algorithm 8: column t is the distribution of the token after x[0..t], given the context z (V, length of x)."""
    Z = encode(z, theta)
    X = embed(x, theta.W_e, theta.W_p)
    for layer in theta.decoder:
        X = norm_columns(X + mh_attention(X, X, layer.attention, unidirectional(X)), layer.norm_3)
        X = norm_columns(X + mh_attention(X, Z, layer.cross, everything(Z, X)), layer.norm_4)
        X = norm_columns(X + feed_forward(X, layer.mlp, relu), layer.norm_5)
    return softmax(theta.W_u @ X)


def e_transformer(x: Sequence[int], theta: Encoder) -> Array:
    """Algorithm 9 (BERT): column t is the distribution of the token at t, both sides seen (V, length of x)."""
    X = embed(x, theta.W_e, theta.W_p)
    for layer in theta.layers:
        X = norm_columns(X + mh_attention(X, X, layer.attention, everything(X, X)), layer.norm_1)
        X = norm_columns(X + feed_forward(X, layer.mlp, gelu), layer.norm_2)
    X = norm_columns(gelu(theta.W_f @ X + theta.b_f[:, None]), theta.norm)
    return softmax(theta.W_u @ X)


def d_transformer(x: Sequence[int], theta: Decoder) -> Array:
    """Algorithm 10 (GPT): column t is the distribution of the token after x[0..t] (V, length of x)."""
    X = embed(x, theta.W_e, theta.W_p)
    for layer in theta.layers:
        N = norm_columns(X, layer.norm_1)
        X = X + mh_attention(N, N, layer.attention, unidirectional(X))
        X = X + feed_forward(norm_columns(X, layer.norm_2), layer.mlp, gelu)
    X = norm_columns(X, theta.norm)
    return softmax(theta.W_u @ X)
