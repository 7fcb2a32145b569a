"""Cross entropy of a large vocabulary without holding all of its scores at once."""

from typing import Any

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable

IGNORED = -1  # a target that does not count
CHUNK = 512  # rows whose scores exist at the same time


def sum_cross_entropy(hidden_ND: Tensor, matrix_VD: Tensor, targets_N: Tensor, chunk: int = CHUNK) -> Tensor:
    """Sum over rows of -log softmax(hidden @ matrix^T)[target], in nats, as a float32 scalar.

    Equal to `F.cross_entropy(hidden_ND @ matrix_VD.T, targets_N, reduction="sum", ignore_index=-1)`, but only `chunk`
    rows of scores exist at a time: gradients are computed along with the loss, while the scores are there. Products
    run in the autocast precision where it is on; softmax, loss and sums over chunks are always float32.
    """
    gradients = torch.is_grad_enabled()
    wants = (gradients and hidden_ND.requires_grad, gradients and matrix_VD.requires_grad)
    return _SumCrossEntropy.apply(hidden_ND, matrix_VD, targets_N, chunk, wants)


class _SumCrossEntropy(torch.autograd.Function):
    @staticmethod
    def forward(
        ctx: Any, hidden_ND: Tensor, matrix_VD: Tensor, targets_N: Tensor, chunk: int, wants: tuple[bool, bool]
    ) -> Tensor:
        device = hidden_ND.device.type
        dtype = torch.promote_types(hidden_ND.dtype, matrix_VD.dtype)
        if torch.is_autocast_enabled(device):
            dtype = torch.get_autocast_dtype(device)
        weight_VD = matrix_VD.to(dtype)
        loss = torch.zeros((), dtype=torch.float32, device=hidden_ND.device)
        hidden_gradient_ND = torch.empty_like(hidden_ND) if wants[0] else None
        matrix_gradient_VD = torch.zeros_like(matrix_VD, dtype=torch.float32) if wants[1] else None

        for first in range(0, len(targets_N), chunk):
            rows = slice(first, first + chunk)
            rows_CD = hidden_ND[rows].to(dtype)  # C rows of this chunk
            counts_C1 = (targets_N[rows] != IGNORED)[:, None]
            targets_C1 = targets_N[rows].clamp(min=0)[:, None]
            scores_CV = torch.log_softmax(rows_CD @ weight_VD.T, dim=1, dtype=torch.float32)
            loss -= (scores_CV.gather(1, targets_C1) * counts_C1).sum()
            if not any(wants):
                continue
            # d loss / d score = softmax - one at the target, and zero in rows that do not count.
            scores_CV = scores_CV.exp_().scatter_add_(1, targets_C1, -torch.ones_like(targets_C1, dtype=torch.float32))
            scores_CV = scores_CV.mul_(counts_C1).to(dtype)
            if hidden_gradient_ND is not None:
                hidden_gradient_ND[rows] = scores_CV @ weight_VD
            if matrix_gradient_VD is not None:
                matrix_gradient_VD += scores_CV.T @ rows_CD
        ctx.matrix_dtype = matrix_VD.dtype
        ctx.save_for_backward(hidden_gradient_ND, matrix_gradient_VD)
        return loss

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, scale: Tensor) -> tuple[Tensor | None, Tensor | None, None, None, None]:
        hidden_gradient_ND, matrix_gradient_VD = ctx.saved_tensors
        hidden = None if hidden_gradient_ND is None else (hidden_gradient_ND * scale).to(hidden_gradient_ND.dtype)
        matrix = None if matrix_gradient_VD is None else (matrix_gradient_VD * scale).to(ctx.matrix_dtype)
        return hidden, matrix, None, None, None
