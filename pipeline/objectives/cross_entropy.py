"""Cross entropy of a large vocabulary without holding all of its scores at once."""

from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor
from torch.autograd.function import once_differentiable

IGNORED = -1  # a target that does not count
CHUNK = 512  # rows whose scores exist at the same time


def sum_cross_entropy(
    hidden_ND: Tensor, matrix_VD: Tensor, targets_N: Tensor, chunk: int = CHUNK, bias_V: Tensor | None = None
) -> Tensor:
    """Sum over rows of -log softmax(hidden @ matrix^T + bias)[target], in nats, as a float32 scalar.

    Equal to `F.cross_entropy(F.linear(hidden, matrix, bias), targets, reduction="sum", ignore_index=-1)`, but `chunk`
    rows of scores exist at a time: gradients are computed along with the loss, while the scores are there. Products
    run in the autocast precision where it is on; softmax, loss and sums over chunks are always float32.
    """
    gradients = torch.is_grad_enabled()
    inputs = (hidden_ND, matrix_VD, bias_V)
    wants = tuple(gradients and part is not None and part.requires_grad for part in inputs)
    return _SumCrossEntropy.apply(hidden_ND, matrix_VD, bias_V, targets_N, chunk, wants)


class _SumCrossEntropy(torch.autograd.Function):
    @staticmethod
    def forward(
        ctx: Any,
        hidden_ND: Tensor,
        matrix_VD: Tensor,
        bias_V: Tensor | None,
        targets_N: Tensor,
        chunk: int,
        wants: tuple[bool, bool, bool],
    ) -> Tensor:
        device = hidden_ND.device.type
        dtype = torch.promote_types(hidden_ND.dtype, matrix_VD.dtype)
        if torch.is_autocast_enabled(device):
            dtype = torch.get_autocast_dtype(device)
        weight_VD = matrix_VD.to(dtype)
        loss = torch.zeros((), dtype=torch.float32, device=hidden_ND.device)
        hidden_gradient_ND = torch.empty_like(hidden_ND) if wants[0] else None
        matrix_gradient_VD = torch.zeros_like(matrix_VD, dtype=torch.float32) if wants[1] else None
        bias_gradient_V = matrix_VD.new_zeros(len(matrix_VD), dtype=torch.float32) if wants[2] else None

        for first in range(0, len(targets_N), chunk):
            rows = slice(first, first + chunk)
            rows_CD = hidden_ND[rows].to(dtype)  # C rows of this chunk
            counts_C1 = (targets_N[rows] != IGNORED)[:, None]
            targets_C1 = targets_N[rows].clamp(min=0)[:, None]
            scores_CV = rows_CD @ weight_VD.T if bias_V is None else F.linear(rows_CD, weight_VD, bias_V.to(dtype))
            scores_CV = scores_CV.float()
            most_C1 = scores_CV.amax(dim=1, keepdim=True)
            below_C1 = most_C1 - scores_CV.gather(1, targets_C1)
            powers_CV = scores_CV.sub_(most_C1).exp_()
            sum_C1 = powers_CV.sum(dim=1, keepdim=True)
            loss += ((below_C1 + sum_C1.log()) * counts_C1).sum()
            if not any(wants):
                continue
            # d loss / d score = softmax - one at the target, and zero in rows that do not count. Here it is still to be
            # divided by the sum: of the narrow factors and products, which costs less than of all scores.
            share_C1 = counts_C1 / sum_C1
            powers_CV = powers_CV.scatter_add_(1, targets_C1, -sum_C1)
            if bias_gradient_V is not None:
                bias_gradient_V.addmv_(powers_CV.T, share_C1[:, 0])
            powers_CV = powers_CV.to(dtype)
            if hidden_gradient_ND is not None:
                hidden_gradient_ND[rows] = (powers_CV @ weight_VD) * share_C1
            if matrix_gradient_VD is not None:
                _add_product(matrix_gradient_VD, powers_CV.T, (rows_CD * share_C1).to(dtype))
        ctx.dtypes = tuple(None if part is None else part.dtype for part in (hidden_ND, matrix_VD, bias_V))
        ctx.save_for_backward(hidden_gradient_ND, matrix_gradient_VD, bias_gradient_V)
        return loss

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, scale: Tensor) -> tuple[Tensor | None, ...]:
        parts = zip(ctx.saved_tensors, ctx.dtypes, strict=True)
        gradients = (None if part is None else (part * scale).to(dtype) for part, dtype in parts)
        return (*gradients, None, None, None)


def _add_product(total_VD: Tensor, left_VC: Tensor, right_CD: Tensor) -> None:
    """Add a product to a float32 sum, in one pass where it is float32 itself."""
    if left_VC.dtype == total_VD.dtype:
        total_VD.addmm_(left_VC, right_CD)
    else:
        total_VD += left_VC @ right_CD
