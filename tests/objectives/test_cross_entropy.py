"""The chunked cross entropy is the plain one, in less memory."""

import pytest
import torch
import torch.nn.functional as F
from torch.utils._python_dispatch import TorchDispatchMode

from pipeline.objectives.cross_entropy import sum_cross_entropy

N, V, D = 300, 97, 16


def example(requires_grad: bool = True) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    generator = torch.Generator().manual_seed(1)
    hidden_ND = torch.randn(N, D, generator=generator).requires_grad_(requires_grad)
    matrix_VD = torch.randn(V, D, generator=generator).requires_grad_(requires_grad)
    targets_N = torch.randint(-1, V, (N,), generator=generator)
    targets_N[::7] = -1
    return hidden_ND, matrix_VD, targets_N


def plain(hidden_ND: torch.Tensor, matrix_VD: torch.Tensor, targets_N: torch.Tensor) -> torch.Tensor:
    return F.cross_entropy(F.linear(hidden_ND, matrix_VD).float(), targets_N, reduction="sum", ignore_index=-1)


def relative(got: torch.Tensor, expected: torch.Tensor) -> float:
    return ((got.double() - expected.double()).norm() / expected.double().norm()).item()


@pytest.mark.parametrize("chunk", [1, 64, 100, 300, 1000])
def test_loss_and_gradients_equal_the_plain_ones(chunk) -> None:
    hidden_ND, matrix_VD, targets_N = example()
    expected = plain(hidden_ND, matrix_VD, targets_N)
    expected_gradients = torch.autograd.grad(expected / 7, (hidden_ND, matrix_VD))
    got = sum_cross_entropy(hidden_ND, matrix_VD, targets_N, chunk)
    gradients = torch.autograd.grad(got / 7, (hidden_ND, matrix_VD))
    assert relative(got, expected) < 1e-6
    for one, other in zip(gradients, expected_gradients, strict=True):
        assert relative(one, other) < 1e-6


def test_ignored_rows_have_no_loss_and_no_gradient() -> None:
    hidden_ND, matrix_VD, targets_N = example()
    sum_cross_entropy(hidden_ND, matrix_VD, targets_N, 64).backward()
    assert not hidden_ND.grad[targets_N == -1].any()
    assert hidden_ND.grad[targets_N != -1].any(dim=1).all()
    nothing = sum_cross_entropy(hidden_ND, matrix_VD, torch.full((N,), -1))
    assert nothing.item() == 0


@pytest.mark.parametrize("frozen", ["hidden", "matrix"])
def test_either_side_may_be_frozen(frozen) -> None:
    hidden_ND, matrix_VD, targets_N = example()
    expected = torch.autograd.grad(plain(hidden_ND, matrix_VD, targets_N), (hidden_ND, matrix_VD))
    still, moving, of_moving = (
        (hidden_ND, matrix_VD, expected[1]) if frozen == "hidden" else (matrix_VD, hidden_ND, expected[0])
    )
    still.requires_grad_(False)
    sum_cross_entropy(hidden_ND, matrix_VD, targets_N, 64).backward()
    assert still.grad is None
    assert relative(moving.grad, of_moving) < 1e-6


def test_without_gradients_the_loss_is_the_same() -> None:
    hidden_ND, matrix_VD, targets_N = example()
    with torch.no_grad():
        measured = sum_cross_entropy(hidden_ND, matrix_VD, targets_N, 64)
    assert not measured.requires_grad
    assert torch.equal(measured, sum_cross_entropy(hidden_ND, matrix_VD, targets_N, 64))


def test_large_scores_do_not_overflow() -> None:
    hidden_ND, matrix_VD, targets_N = example(requires_grad=False)
    loss = sum_cross_entropy(1e4 * hidden_ND, matrix_VD, targets_N)
    assert torch.isfinite(loss)
    assert relative(loss, plain(1e4 * hidden_ND, matrix_VD, targets_N)) < 1e-6


def test_under_autocast_products_are_bf16_and_the_rest_fp32() -> None:
    hidden_ND, matrix_VD, targets_N = example()
    exact = sum_cross_entropy(hidden_ND, matrix_VD, targets_N)
    gradients = torch.autograd.grad(exact, (hidden_ND, matrix_VD))
    with torch.autocast("cpu", torch.bfloat16):
        rounded = sum_cross_entropy(hidden_ND, matrix_VD, targets_N, 64)
        as_plain = plain(hidden_ND, matrix_VD, targets_N)
    rounded_gradients = torch.autograd.grad(rounded, (hidden_ND, matrix_VD))
    assert rounded.dtype == torch.float32
    assert 0 < relative(rounded, exact) < 5e-3
    assert relative(rounded, as_plain) < 1e-6
    for one, other in zip(rounded_gradients, gradients, strict=True):
        assert one.dtype == torch.float32
        assert relative(one, other) < 0.02


def test_it_does_not_hold_all_scores() -> None:
    """The largest tensor made has `chunk` rows of scores, or the size of an argument."""

    class Largest(TorchDispatchMode):
        elements = 0

        def __torch_dispatch__(self, func, types, args=(), kwargs=None):
            out = func(*args, **(kwargs or {}))
            if isinstance(out, torch.Tensor):
                self.elements = max(self.elements, out.numel())
            return out

    hidden_ND, matrix_VD, targets_N = example()
    with Largest() as largest:
        sum_cross_entropy(hidden_ND, matrix_VD, targets_N, 20).backward()
    assert largest.elements == max(N * D, V * D, 20 * V)
