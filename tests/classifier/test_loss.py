"""Promises of the loss: a sum that any cut of the batch adds up to, smoothing and class weights as documented."""

import pytest
import torch
import torch.nn.functional as F

from pipeline.classifier.loss import balanced_weights, guess_loss, sum_loss, targets

LABELS = [0, 0, 0, 0, 0, 1, 1, 2]
SEVERAL = [[0], [0, 1], [], [0, 2], [0], [0], [1], [0]]


@pytest.fixture
def logits_BC() -> torch.Tensor:
    return torch.randn(8, 3, generator=torch.Generator().manual_seed(0))


@pytest.mark.parametrize("multilabel", [False, True])
@pytest.mark.parametrize("weighted", [False, True])
def test_parts_add_up_to_the_whole(logits_BC: torch.Tensor, multilabel: bool, weighted: bool) -> None:
    wanted = targets(SEVERAL if multilabel else LABELS, 3, multilabel)
    weights = balanced_weights(wanted, 3) if weighted else None
    whole = sum_loss(logits_BC, wanted, label_smoothing=0.1, weights=weights)
    parts = [
        sum_loss(logits_BC[part], wanted[part], label_smoothing=0.1, weights=weights)
        for part in (slice(0, 3), slice(3, 4), slice(4, 8))
    ]
    torch.testing.assert_close(sum(parts), whole)


def test_single_label_is_cross_entropy(logits_BC: torch.Tensor) -> None:
    wanted = targets(LABELS, 3, False)
    torch.testing.assert_close(sum_loss(logits_BC, wanted) / 8, F.cross_entropy(logits_BC, wanted))


def test_guesses_are_a_cross_entropy_whose_best_answer_is_the_guess(logits_BC: torch.Tensor) -> None:
    sure = targets(LABELS, 3, False)
    torch.testing.assert_close(guess_loss(logits_BC, F.one_hot(sure).float()), sum_loss(logits_BC, sure))
    said_BC = torch.softmax(torch.randn(8, 3, generator=torch.Generator().manual_seed(1)), dim=1)
    parts = [guess_loss(logits_BC[part], said_BC[part]) for part in (slice(0, 3), slice(3, 8))]
    torch.testing.assert_close(sum(parts), -(said_BC * logits_BC.log_softmax(dim=1)).sum())
    best_BC = said_BC.log().requires_grad_()
    guess_loss(best_BC, said_BC).backward()
    torch.testing.assert_close(best_BC.grad, torch.zeros(8, 3), atol=1e-6, rtol=0)


def test_several_labels_are_binary_cross_entropies_averaged_over_classes(logits_BC: torch.Tensor) -> None:
    wanted = targets(SEVERAL, 3, True)
    assert wanted.tolist()[1] == [1, 1, 0]
    expected = F.binary_cross_entropy_with_logits(logits_BC, wanted)
    torch.testing.assert_close(sum_loss(logits_BC, wanted) / 8, expected)


def test_smoothing_makes_the_even_answer_right_in_its_share() -> None:
    """With smoothing e the best scores give (1 - e) + e / C to the label, and e / C to every other."""
    best_C = torch.tensor([0.9 + 0.1 / 3, 0.1 / 3, 0.1 / 3]).log().requires_grad_()
    sum_loss(best_C[None], torch.tensor([0]), label_smoothing=0.1).backward()
    torch.testing.assert_close(best_C.grad, torch.zeros(3), atol=1e-6, rtol=0)
    both_C = torch.tensor([0.95, 0.05]).logit().requires_grad_()
    sum_loss(both_C[None], torch.tensor([[1.0, 0.0]]), label_smoothing=0.1).backward()
    torch.testing.assert_close(both_C.grad, torch.zeros(2), atol=1e-6, rtol=0)


def test_balanced_classes_count_alike_with_mean_one_over_the_documents() -> None:
    wanted = targets(LABELS, 3, False)
    weights_C = balanced_weights(wanted, 3)
    torch.testing.assert_close(weights_C[wanted].mean(), torch.tensor(1.0))
    torch.testing.assert_close(weights_C * torch.tensor([5.0, 2, 1]), torch.full((3,), 8 / 3))


def test_balanced_labels_weigh_as_much_present_as_absent() -> None:
    wanted = targets(SEVERAL, 3, True)
    weights_2C = balanced_weights(wanted, 3)
    of_documents_BC = torch.where(wanted > 0.5, weights_2C[1], weights_2C[0])
    torch.testing.assert_close(of_documents_BC.mean(dim=0), torch.ones(3))
    torch.testing.assert_close((of_documents_BC * wanted).sum(dim=0), torch.full((3,), 4.0))


def test_classes_without_documents_keep_a_finite_weight() -> None:
    assert balanced_weights(torch.tensor([0, 0, 2]), 4).isfinite().all()
    assert (balanced_weights(torch.tensor([[1.0, 0.0], [1.0, 1.0]]), 2)[:, 0] == 1).all()


def test_weights_scale_a_documents_loss_by_its_class(logits_BC: torch.Tensor) -> None:
    weights_C = torch.tensor([1.0, 2.0, 5.0])
    for row, label in enumerate(LABELS):
        plain = sum_loss(logits_BC[row : row + 1], torch.tensor([label]))
        weighted = sum_loss(logits_BC[row : row + 1], torch.tensor([label]), weights=weights_C)
        torch.testing.assert_close(weighted, plain * weights_C[label])


def test_weights_of_several_labels_go_to_the_documents_with_and_without(logits_BC: torch.Tensor) -> None:
    wanted, weights_2C = targets(SEVERAL, 3, True), torch.tensor([[1.0, 2, 3], [10, 20, 30]])
    expected = 0.0
    for scores_C, wanted_C in zip(logits_BC.sigmoid(), wanted, strict=True):
        for c in range(3):
            chance = scores_C[c] if wanted_C[c] else 1 - scores_C[c]
            expected -= weights_2C[int(wanted_C[c]), c] * chance.log() / 3
    torch.testing.assert_close(sum_loss(logits_BC, wanted, weights=weights_2C), expected)
