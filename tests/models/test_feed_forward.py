"""Each feed-forward layer against its formula."""

import math

import numpy as np
import pytest
import torch

from pipeline.models.feed_forward import FeedForward
from pipeline.models.weights import initialise


def silu(x: np.ndarray) -> np.ndarray:
    return x / (1 + np.exp(-x))


FORMULAS = {
    "relu": lambda h: np.maximum(h, 0),
    "gelu": lambda h: h * 0.5 * (1 + np.vectorize(math.erf)(h / math.sqrt(2))),
    "squared_relu": lambda h: np.maximum(h, 0) ** 2,
    "swiglu": lambda h: silu(h[..., :64]) * h[..., 64:],
}


@pytest.mark.parametrize("activation", FORMULAS)
def test_feed_forward_equals_its_formula(tiny, activation) -> None:
    layer = FeedForward(tiny(activation=activation))
    initialise(layer, seed=4)
    x_BTD = torch.randn(2, 3, 32, generator=torch.Generator().manual_seed(1))
    up, down = (matrix.weight.detach().double().numpy() for matrix in (layer.up, layer.down))
    expected = FORMULAS[activation](x_BTD.double().numpy() @ up.T) @ down.T
    before_BTD = x_BTD.clone()
    trained_BTD = layer(x_BTD).detach()
    np.testing.assert_allclose(trained_BTD.numpy(), expected, atol=1e-5)
    # Where nothing trains, work may be done in place: the same bits, and nothing of the input is lost.
    with torch.inference_mode():
        assert torch.equal(layer(x_BTD), trained_BTD)
    assert torch.equal(x_BTD, before_BTD)
