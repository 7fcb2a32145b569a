"""Loss of a batch of documents: a sum, so that any cut of the global batch into parts adds up to the same."""

from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor


def targets(labels: Sequence[int] | Sequence[Sequence[int]], classes: int, multilabel: bool) -> Tensor:
    """Labels as the loss wants them: int64 `(B,)`, or for several labels a document 0/1 in float32 `(B, C)`."""
    if not multilabel:
        return torch.as_tensor(labels, dtype=torch.int64)
    targets_BC = torch.zeros(len(labels), classes)
    for row, of_document in enumerate(labels):
        targets_BC[row, torch.as_tensor(of_document, dtype=torch.int64)] = 1.0
    return targets_BC


def balanced_weights(training_targets: Tensor, classes: int) -> Tensor:
    """Weights under which each class counts as much as any other, with mean 1 over the training documents.

    Args:
        training_targets: `targets(...)` of all training documents.

    Returns:
        `(C,)`: N / (classes present * N_c). For several labels a document `(2, C)`: each class is a question of its
        own, whose N_0 documents without and N_1 with the label weigh N / 2 N_0 and N / 2 N_1. A class without
        documents on both sides keeps weight 1.
    """
    if training_targets.dim() == 1:
        counts_C = training_targets.bincount(minlength=classes).double()
        weights_C = counts_C.sum() / ((counts_C > 0).sum() * counts_C)
        return torch.where(counts_C > 0, weights_C, 1.0).float()
    with_label_C = training_targets.double().sum(dim=0)
    counts_2C = torch.stack([len(training_targets) - with_label_C, with_label_C])
    one_sided_C = (counts_2C == 0).any(dim=0)
    return torch.where(one_sided_C, 1.0, len(training_targets) / (2 * counts_2C)).float()


def guess_loss(logits_BC: Tensor, targets_BC: Tensor) -> Tensor:
    """Sum over documents of the cross entropy with probabilities in the place of labels; a scalar.

    What a student learns from its teacher (Hinton, Vinyals & Dean 2015, arXiv 1503.02531, at temperature 1).

    Args:
        logits_BC: unnormalised scores; computed with in fp32.
        targets_BC: probabilities, whose rows sum to one.
    """
    return F.cross_entropy(logits_BC.float(), targets_BC, reduction="sum")


def sum_loss(
    logits_BC: Tensor, targets: Tensor, *, label_smoothing: float = 0.0, weights: Tensor | None = None
) -> Tensor:
    """Sum over documents of the cross entropy, or of the mean over classes of the binary cross entropy; a scalar.

    To be divided by the number of documents of the global batch: weights have mean 1 over the training documents, so
    that this is the mean loss without bias, whatever classes a batch happens to hold.

    Args:
        logits_BC: unnormalised scores; computed with in fp32.
        targets: int64 `(B,)` for one label a document, 0/1 floats `(B, C)` for several.
        label_smoothing: share of the target that is spread over all classes (Szegedy et al. 2016, section 7), or of
            each binary target that moves to one half.
        weights: of `balanced_weights`; a document counts with its own class's weight.
    """
    logits_BC = logits_BC.float()
    if targets.dim() == 1:
        losses_B = F.cross_entropy(logits_BC, targets, label_smoothing=label_smoothing, reduction="none")
        return losses_B.sum() if weights is None else (losses_B * weights[targets]).sum()
    smooth_BC = targets * (1 - label_smoothing) + label_smoothing / 2
    losses_BC = F.binary_cross_entropy_with_logits(logits_BC, smooth_BC, reduction="none")
    if weights is not None:
        losses_BC = losses_BC * torch.where(targets > 0.5, weights[1], weights[0])
    return losses_BC.mean(dim=1).sum()
