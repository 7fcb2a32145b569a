"""A recipe is dropped when it is clearly behind, kept when that may be noise, and taken when it is surely ahead."""

import numpy as np
import pytest

from pipeline.evaluation.racing import Entry, Found, Judge, estimate

PARTS, DOCUMENTS, CLASSES = 5, 16, 3
RANDOM = np.random.Generator(np.random.PCG64(1))
LABELS = [RANDOM.integers(CLASSES, size=DOCUMENTS) for _ in range(PARTS)]
HARD = [RANDOM.normal(size=(DOCUMENTS, CLASSES)) for _ in range(PARTS)]  # what makes a document hard for all
JUDGE = Judge(LABELS)
CHEAP, DEAR = (10, 1), (20, 1)


def recipe(skill: float, seed: int, parts: int = PARTS, luck: float = 0.1) -> list[np.ndarray]:
    """Probabilities of a recipe that knows so much: as hard a document as for all others, and luck of its own."""
    random = np.random.Generator(np.random.PCG64(seed))
    found = []
    for labels, hard_MC in list(zip(LABELS, HARD, strict=True))[:parts]:
        scores_MC = skill * np.eye(CLASSES)[labels] + hard_MC + luck * random.normal(size=hard_MC.shape)
        exp_MC = np.exp(scores_MC)
        found.append(exp_MC / exp_MC.sum(axis=1, keepdims=True))
    return found


def test_what_is_clearly_worse_is_dropped_and_noise_is_kept() -> None:
    def dropped(skill: float) -> int:
        leader = recipe(2.0, 100)
        return sum(JUDGE.drops(recipe(skill, seed, parts=2), leader) for seed in range(20))

    assert dropped(1.0) == 20
    assert dropped(2.0) <= 3
    assert dropped(3.0) == 0


def test_nothing_is_dropped_after_one_training() -> None:
    assert not JUDGE.drops(recipe(0.0, 1, parts=1), recipe(3.0, 2))


def test_recipes_are_compared_on_the_parts_that_both_have_seen() -> None:
    short, whole = recipe(1.0, 1, parts=2), recipe(2.0, 2)
    assert JUDGE.difference(short, whole) == JUDGE.difference(short, whole[:2])
    assert JUDGE.difference(whole, short).mean == pytest.approx(-JUDGE.difference(short, whole).mean)


def test_a_lead_within_one_standard_error_leaves_the_present_recipe() -> None:
    present = recipe(2.0, 1)
    ahead = [JUDGE.difference(recipe(2.0, seed), present) for seed in range(2, 30)]
    seed = 2 + next(place for place, one in enumerate(ahead) if -0.99 * one.error < one.mean < -0.5 * one.error)
    assert JUDGE.best(present, [Entry(recipe(2.0, seed), CHEAP)]) is None


def test_no_change_at_all_is_not_better() -> None:
    present = recipe(2.0, 1)
    assert JUDGE.difference(present, present) == (0.0, 0.0)
    assert JUDGE.best(present, [Entry(present, CHEAP)]) is None
    assert not JUDGE.drops(present, present)


def test_the_best_of_those_surely_ahead_is_taken() -> None:
    entries = [Entry(recipe(2.5, 2), CHEAP), Entry(recipe(5.0, 3), DEAR), Entry(recipe(0.5, 4), CHEAP)]
    assert JUDGE.best(recipe(1.0, 1), entries) == 1


def test_equals_go_to_the_cheaper_one_and_then_to_the_first() -> None:
    present, one = recipe(1.0, 1), recipe(3.0, 2)
    leads = {seed: JUDGE.difference(recipe(3.0, seed), one) for seed in range(3, 20)}
    other = recipe(3.0, next(seed for seed, lead in leads.items() if abs(lead.mean) < 0.9 * lead.error))
    assert JUDGE.best(present, [Entry(one, DEAR), Entry(other, CHEAP)]) == 1
    assert JUDGE.best(present, [Entry(one, CHEAP), Entry(other, DEAR)]) == 0
    assert JUDGE.best(present, [Entry(one, CHEAP), Entry(one, CHEAP)]) == 0


def test_one_recipe_has_to_be_ahead_by_one_standard_error_and_several_by_more() -> None:
    assert Judge(LABELS).margin == pytest.approx(1)
    assert Judge(LABELS, tried=8).margin == pytest.approx(2.03, abs=0.01)


def test_among_many_that_are_all_the_same_the_luckiest_is_seldom_called_better() -> None:
    random = np.random.Generator(np.random.PCG64(2))

    def luckiest() -> float:
        """How many standard errors the best of eight is ahead of the present recipe, where none is any better."""
        training_PR, document_RN = random.normal(size=(PARTS, 9)), random.normal(size=(9, PARTS * DOCUMENTS))
        losses_RN = np.repeat(0.05 * training_PR, DOCUMENTS, axis=0).T + 0.3 * document_RN
        leads = [estimate(losses_N - losses_RN[0], [DOCUMENTS] * PARTS) for losses_N in losses_RN[1:]]
        return -min(lead.mean / lead.error for lead in leads)

    ahead = np.array([luckiest() for _ in range(500)])
    assert (ahead > 1).mean() > 0.4  # what one standard error alone would have taken
    assert (ahead > Judge(LABELS, tried=8).margin).mean() < 0.2


def test_confidence_alone_makes_no_difference() -> None:
    sure = recipe(2.0, 1)
    tempered = [part_MC**0.3 / (part_MC**0.3).sum(axis=1, keepdims=True) for part_MC in sure]
    assert JUDGE.difference(tempered, sure).mean == pytest.approx(0, abs=1e-4)


def test_the_luck_of_a_training_is_not_taken_for_many_independent_documents() -> None:
    of_parts_N = np.repeat([1.0, -1.0, 0.5, -0.5], 100)
    assert estimate(of_parts_N, [100] * 4).error == pytest.approx(np.std([1, -1, 0.5, -0.5], ddof=1) / 2)
    assert estimate(of_parts_N, [400]).error < 0.05


def test_few_parts_that_agree_by_chance_do_not_look_certain() -> None:
    values_N = np.tile([1.0, -1.0], 10)  # both parts have a mean of 0
    assert estimate(values_N, [10, 10]).error == pytest.approx(np.std(values_N, ddof=1) / np.sqrt(20))


def test_several_labels_a_document_are_judged_label_by_label() -> None:
    carried = [np.array([[True, False], [True, True]]), np.array([[False, False], [False, True]])]
    right: Found = [np.where(part, 0.9, 0.1) for part in carried]
    unsure: Found = [np.full((2, 2), 0.5) for _ in carried]
    judge = Judge(carried)
    assert judge.accuracy(right) == 1.0
    assert judge.loss(unsure).mean == pytest.approx(np.log(2))
    assert judge.better(right, unsure)
