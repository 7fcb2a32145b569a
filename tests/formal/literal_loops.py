"""Algorithms 11-15 of "Formal Algorithms for Transformers" (Phuong & Hutter 2022, arXiv 2207.09238): the loops.

Training changes theta in place, one sequence a step. Random numbers come from a `uniform` that draws from [0, 1).
"""

import math
from collections.abc import Callable, Iterator, Sequence

import numpy as np

from tests.formal.literal import (
    Array,
    Decoder,
    Encoder,
    EncoderDecoder,
    d_transformer,
    e_transformer,
    ed_transformer,
)


def ed_loss(z: Sequence[int], x: Sequence[int], theta: EncoderDecoder) -> float:
    """The loss inside Algorithm 11: every token of x after the first, given z and the true tokens before it."""
    P = ed_transformer(z, x, theta)
    return -sum(math.log(P[x[t + 1], t]) for t in range(len(x) - 1))


def e_loss(x: Sequence[int], masked: Sequence[int], mask_token: int, theta: Encoder) -> float:
    """The loss inside Algorithm 12: the true tokens at the masked positions, given all the others."""
    P = e_transformer([mask_token if t in masked else v for t, v in enumerate(x)], theta)
    return -sum(math.log(P[x[t], t]) for t in masked)


def d_loss(x: Sequence[int], theta: Decoder) -> float:
    """The loss inside Algorithm 13: every token of x after the first, given those before it."""
    P = d_transformer(x, theta)
    return -sum(math.log(P[x[t + 1], t]) for t in range(len(x) - 1))


def numbers(theta: tuple) -> Iterator[Array]:
    """Every array inside theta, once, however often it is used (W_u may be a view of W_e)."""
    found: list[Array] = []
    for part in theta:
        for array in numbers(part) if isinstance(part, tuple) else [part]:
            if not any(np.shares_memory(array, other) for other in found):
                found.append(array)
    yield from found


def gradient_step(loss: Callable[[], float], theta: tuple, eta: float, fixed: Sequence[Array] = ()) -> None:
    """theta <- theta - eta grad loss(theta), in place, all of it but `fixed`.

    The paper leaves the gradient to the reader. Here it is the definition: a difference quotient for each number, which
    is right to about 1e-9 in float64.
    """
    step = 1e-5
    trained = [array for array in numbers(theta) if not any(array is other for other in fixed)]
    gradients = [np.zeros_like(array) for array in trained]
    for array, gradient in zip(trained, gradients, strict=True):
        for place in np.ndindex(array.shape):
            value = array[place]
            array[place] = value + step
            above = loss()
            array[place] = value - step
            gradient[place] = (above - loss()) / (2 * step)
            array[place] = value
    for array, gradient in zip(trained, gradients, strict=True):
        array -= eta * gradient


def ed_training(
    zs: Sequence[Sequence[int]],
    xs: Sequence[Sequence[int]],
    theta: EncoderDecoder,
    epochs: int,
    eta: float,
    fixed: Sequence[Array] = (),
) -> None:
    """Algorithm 11: sequence to sequence; changes theta in place."""
    for _ in range(epochs):
        for z, x in zip(zs, xs, strict=True):
            gradient_step(lambda z=z, x=x: ed_loss(z, x, theta), theta, eta, fixed)


def e_training(
    xs: Sequence[Sequence[int]],
    theta: Encoder,
    epochs: int,
    eta: float,
    p_mask: float,
    mask_token: int,
    uniform: Callable[[], float],
) -> None:
    """Algorithm 12: masked tokens, each with probability `p_mask`; `uniform` draws from [0, 1)."""
    for _ in range(epochs):
        for x in xs:
            masked = [t for t in range(len(x)) if uniform() < p_mask]
            gradient_step(lambda x=x, masked=masked: e_loss(x, masked, mask_token, theta), theta, eta)


def d_training(xs: Sequence[Sequence[int]], theta: Decoder, epochs: int, eta: float) -> None:
    """Algorithm 13: next tokens; changes theta in place."""
    for _ in range(epochs):
        for x in xs:
            gradient_step(lambda x=x: d_loss(x, theta), theta, eta)


def sample(p: Array, tau: float, uniform: Callable[[], float]) -> int:
    """A token drawn from q proportional to p^(1 / tau), by inverting the cumulative sum of q at one uniform number."""
    q = (p / p.max()) ** (1 / tau)
    return int(np.searchsorted(np.cumsum(q / q.sum()), uniform(), side="right").clip(max=len(p) - 1))


def d_inference(
    x: Sequence[int], theta: Decoder, l_gen: int, tau: float, uniform: Callable[[], float], possible: Array
) -> list[int]:
    """Algorithm 14: the `l_gen` tokens after the prompt x.

    `possible` is 1 for every token in the paper; a 0 keeps that token from being drawn.
    """
    x, length = list(x), len(x)
    for _ in range(l_gen):
        P = d_transformer(x, theta)
        x.append(sample(P[:, -1] * possible, tau, uniform))
    return x[length:]


def ed_inference(
    z: Sequence[int],
    theta: EncoderDecoder,
    tau: float,
    uniform: Callable[[], float],
    possible: Array,
    bos_token: int,
    eos_token: int,
    longest: int,
) -> list[int]:
    """Algorithm 15: the answer to z, with its first and last token; the paper has no `longest` and may never end."""
    x = [bos_token]
    while x[-1] != eos_token and len(x) < longest:
        P = ed_transformer(z, x, theta)
        x.append(sample(P[:, -1] * possible, tau, uniform))
    return x
