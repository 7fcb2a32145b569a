"""Windows of a language model: every token a target once per epoch, in an order that seed and step alone decide."""

from pathlib import Path

import numpy as np
import pytest

from pipeline.base.errors import UserError
from pipeline.batches.windows import WindowPlan, read_windows, validation_starts
from pipeline.shards.read import TokenCorpus
from pipeline.shards.write import write_shards


@pytest.fixture
def corpus(tmp_path: Path) -> TokenCorpus:
    """Documents `<bos> n n+1 ... <eos>` over several shards; tokens 100 to 196 come once each."""
    texts = np.split(np.arange(100, 197), [10, 30, 33, 80])
    rows = [(np.array([1, *text, 2]), 1, 1) for text in texts]
    write_shards(tmp_path / "train", rows, vocabulary=200, tokenizer="abc", shard_tokens=25)
    return TokenCorpus(tmp_path / "train")


@pytest.mark.parametrize("tokens", [64, 65, 71, 107])
def test_an_epoch_makes_every_token_a_target_once(tokens: int) -> None:
    """But for the remainder of a division by the length, and that is another one in the next epoch."""
    plan = WindowPlan(tokens, length=8, batch_tokens=16, seed=1)
    left_out = []
    for epoch in range(2):
        first = epoch * plan.windows_per_epoch
        starts = plan.starts_of(np.arange(first, first + plan.windows_per_epoch))
        targets = (starts[:, None] + np.arange(1, 9)) % tokens
        assert len(np.unique(targets)) == targets.size == tokens // 8 * 8
        left_out.append(set(range(tokens)) - set(targets.flatten().tolist()))
    assert left_out[0] != left_out[1] or tokens % 8 == 0


def test_each_epoch_has_its_own_order_and_borders() -> None:
    plan = WindowPlan(10_000, length=10, batch_tokens=100, seed=1)
    first, second = plan.starts_of(np.arange(1000)), plan.starts_of(np.arange(1000, 2000))
    assert len({int(starts[0]) % 10 for starts in (first, second)} | {-1}) >= 2
    assert (first != second).mean() > 0.9
    assert (np.diff(first) != 10).mean() > 0.9  # shuffled, not one after the other


def test_steps_go_on_over_epochs_and_number_every_window() -> None:
    plan = WindowPlan(100, length=10, batch_tokens=30, seed=1)
    assert np.concatenate([plan.sequences_of(step) for step in range(7)]).tolist() == list(range(21))
    whole = plan.starts_of(np.arange(21))
    assert np.concatenate([plan.starts_of(plan.sequences_of(step)) for step in range(7)]).tolist() == whole.tolist()


@pytest.mark.parametrize("world", [1, 2, 3, 8])
def test_ranks_share_the_same_global_batch(world: int) -> None:
    plan = WindowPlan(1000, length=10, batch_tokens=50, seed=1)
    for step in (0, 3, 40):
        shares = [plan.share(step, rank, world) for rank in range(world)]
        sequences = np.concatenate([rows for rows, _ in shares])
        assert sorted(sequences.tolist()) == plan.sequences_of(step).tolist()
        for rows, starts in shares:
            assert starts.tolist() == plan.starts_of(rows).tolist()
        assert max(len(rows) for rows, _ in shares) - min(len(rows) for rows, _ in shares) <= 1


def test_another_seed_gives_other_windows() -> None:
    one, two = (WindowPlan(1000, 10, 100, seed).share(0, 0, 1)[1] for seed in (1, 2))
    assert one.tolist() != two.tolist()


@pytest.mark.parametrize(
    ("tokens", "says"),
    [
        (8, "8 tokens, fewer than one window .*set a smaller `length`"),
        (20, "20 tokens, fewer than one batch .*set `batch_tokens` to at most 16"),
    ],
)
def test_too_small_a_corpus_is_one_line_that_says_what_to_set(tokens: int, says: str) -> None:
    with pytest.raises(UserError, match=says):
        WindowPlan(tokens, length=8, batch_tokens=32, seed=1)


def test_windows_hold_the_corpus_and_go_on_at_its_beginning(corpus: TokenCorpus) -> None:
    ring = np.concatenate([corpus.read(0, corpus.tokens)] * 2)
    starts = np.arange(corpus.tokens)
    windows = read_windows(corpus, starts, 30)
    assert windows.dtype == np.int64
    for start, window in zip(starts, windows, strict=True):
        assert window.tolist() == ring[start : start + 31].tolist()


def test_backward_windows_are_the_same_text_from_its_end(corpus: TokenCorpus) -> None:
    window = read_windows(corpus, np.array([5]), 10, reverse=True)[0]
    assert window.tolist() == [112, 111, 110, 2, 1, 109, 108, 107, 106, 105, 104]
    whole = read_windows(corpus, np.array([0]), corpus.tokens - 1, reverse=True)[0]
    bos, eos = np.flatnonzero(whole == 1), np.flatnonzero(whole == 2)
    assert bos[0] == 0
    assert eos[-1] == len(whole) - 1
    assert (bos[1:] == eos[:-1] + 1).all()  # every document still begins with <bos> and ends with <eos>


@pytest.mark.parametrize(
    ("tokens", "limit", "starts", "length"),
    [
        (100, 1000, [0, 11, 22, 33, 44, 55, 66, 77, 89], 10),
        (101, 1000, [0, 10, 20, 30, 40, 50, 60, 70, 80, 90], 10),
        (100, 35, [0, 44, 89], 10),
        (100, 3, [0], 10),
        (7, 1000, [0], 6),
        (1, 1000, [], 1),
        (0, 1000, [], 1),
    ],
)
def test_validation_is_spread_over_the_text_without_overlap(
    tokens: int, limit: int, starts: list[int], length: int
) -> None:
    found, width = validation_starts(tokens, 10, limit)
    assert found.tolist() == starts
    assert width == length


def test_no_windows_make_an_empty_array(corpus: TokenCorpus) -> None:
    assert read_windows(corpus, np.zeros(0, np.int64), 10, reverse=True).shape == (0, 11)
