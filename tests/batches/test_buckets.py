"""Batches of a classifier: every document once per epoch, little padding, decided by seed and step alone."""

import pickle

import numpy as np
import pytest

from pipeline.batches.buckets import BucketPlan

LENGTHS = np.minimum(1000, np.random.default_rng(0).lognormal(5, 1, 10_007).astype(np.int64) + 2)


def epoch_of(plan: BucketPlan, epoch: int) -> list[np.ndarray]:
    return [plan.documents_of(epoch * plan.batches_per_epoch + step) for step in range(plan.batches_per_epoch)]


@pytest.mark.parametrize(("documents", "batch"), [(1, 32), (20, 32), (33, 32), (64, 32), (1000, 7), (10_007, 32)])
def test_every_document_comes_once_per_epoch(documents: int, batch: int) -> None:
    plan = BucketPlan(LENGTHS[:documents], batch, epochs=2, seed=1)
    for epoch in range(2):
        batches = epoch_of(plan, epoch)
        assert sorted(np.concatenate(batches).tolist()) == list(range(documents))
        sizes = [len(each) for each in batches]
        assert max(sizes) <= batch
        assert max(sizes) - min(sizes) <= 1
    assert plan.documents == 2 * documents


def test_padding_is_small_and_far_below_that_of_random_batches() -> None:
    plan = BucketPlan(LENGTHS, 32, epochs=1, seed=1)
    widths = [LENGTHS[batch].max() * len(batch) for batch in epoch_of(plan, 0)]
    assert plan.padding_share() == pytest.approx(1 - LENGTHS.sum() / sum(widths))
    shuffled = np.random.default_rng(1).permutation(LENGTHS)[:9984].reshape(-1, 32)
    assert plan.padding_share() < 0.05
    assert 1 - shuffled.sum() / (shuffled.max(axis=1) * 32).sum() > 0.5


def test_batches_are_not_read_in_the_order_of_length() -> None:
    means = [LENGTHS[batch].mean() for batch in epoch_of(BucketPlan(LENGTHS, 32, epochs=1, seed=1), 0)]
    assert abs(np.corrcoef(means, np.arange(len(means)))[0, 1]) < 0.2


def test_epochs_and_seeds_mix_the_documents_anew() -> None:
    plan, other = BucketPlan(LENGTHS, 32, epochs=2, seed=1), BucketPlan(LENGTHS, 32, epochs=2, seed=2)
    batches = [set(epoch_of(each, epoch)[0].tolist()) for each, epoch in ((plan, 0), (plan, 1), (other, 0))]
    assert all(len(batches[one] & batches[two]) < 16 for one, two in ((0, 1), (0, 2), (1, 2)))


def test_a_step_is_a_function_of_seed_and_step_alone() -> None:
    """Asked for in any order, by any process: a resumed run reads what the uninterrupted one would have read."""
    plan = BucketPlan(LENGTHS[:500], 16, epochs=3, seed=4)
    forward = [plan.documents_of(step).tolist() for step in range(plan.steps)]
    copy = pickle.loads(pickle.dumps(plan))
    assert [copy.documents_of(step).tolist() for step in reversed(range(plan.steps))] == forward[::-1]


@pytest.mark.parametrize(("epochs", "steps"), [(1, 10), (2.5, 25), (0.25, 2), (0.001, 1)])
def test_parts_of_an_epoch_are_parts_of_its_steps(epochs: float, steps: int) -> None:
    plan = BucketPlan(LENGTHS[:95], 10, epochs, seed=1)
    assert plan.steps == steps
    assert plan.documents == sum(len(plan.documents_of(step)) for step in range(steps))


@pytest.mark.parametrize("world", [1, 2, 3, 40])
def test_ranks_share_a_batch_evenly_in_documents_and_tokens(world: int) -> None:
    plan = BucketPlan(LENGTHS, 32, epochs=1, seed=1)
    for step in range(20):
        shares = [plan.share(step, rank, world) for rank in range(world)]
        assert sorted(np.concatenate(shares).tolist()) == sorted(plan.documents_of(step).tolist())
        counts = [len(share) for share in shares]
        assert max(counts) - min(counts) <= 1
        for share in shares:
            assert (np.diff(LENGTHS[share]) <= 0).all()  # longest first
        if world == 2:
            tokens = [LENGTHS[share].sum() for share in shares]
            assert max(tokens) - min(tokens) <= LENGTHS[plan.documents_of(step)].max()


def test_a_batch_dealt_out_to_and_fro_is_balanced() -> None:
    lengths = np.arange(10, 90, 10)
    plan = BucketPlan(lengths, 8, epochs=1, seed=1)
    assert [lengths[plan.share(0, rank, 2)].tolist() for rank in range(2)] == [[80, 50, 40, 10], [70, 60, 30, 20]]
