"""Norms against their formulas, and what `bias: false` leaves out."""

import torch

from pipeline.models.norms import LayerNorm, RMSNorm, norm

EPSILON = 1e-5


def example() -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    generator = torch.Generator().manual_seed(1)
    return 3 * torch.randn(4, 5, 8, generator=generator) + 2, *torch.randn(2, 8, generator=generator)


def test_layer_norm_equals_its_formula() -> None:
    x, weight, bias = example()
    layer = LayerNorm(8, EPSILON, bias=True)
    layer.load_state_dict({"weight": weight, "bias": bias})
    centred = x - x.mean(-1, keepdim=True)
    expected = centred / (centred.square().mean(-1, keepdim=True) + EPSILON).sqrt() * weight + bias
    torch.testing.assert_close(layer(x), expected)


def test_rms_norm_equals_its_formula() -> None:
    x, weight, _ = example()
    layer = RMSNorm(8, EPSILON, bias=True)
    layer.load_state_dict({"weight": weight})
    torch.testing.assert_close(layer(x), x / (x.square().mean(-1, keepdim=True) + EPSILON).sqrt() * weight)


def test_without_bias_a_norm_has_one_vector(tiny) -> None:
    assert [name for name, _ in norm(tiny(bias=False)).named_parameters()] == ["weight"]
    assert [name for name, _ in norm(tiny(bias=True)).named_parameters()] == ["weight", "bias"]
    assert norm(tiny()).weight.shape == (32,)
    assert norm(tiny(), 16).weight.shape == (16,)
