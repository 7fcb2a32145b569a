"""Streams: each row of a batch reads on where it ended, on any number of processes, and all of the corpus is read."""

from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest

from pipeline.base.errors import UserError
from pipeline.batches.streams import StreamPlan
from pipeline.batches.windows import read_windows
from pipeline.shards.read import TokenCorpus
from pipeline.shards.write import write_shards


@pytest.fixture
def corpus(tmp_path: Path) -> TokenCorpus:
    """107 tokens: documents `<bos> n n+1 ... <eos>` of the numbers 100 to 196."""
    rows = [(np.array([1, *text, 2]), 1, 1) for text in np.split(np.arange(100, 197), [10, 30, 33, 80])]
    write_shards(tmp_path / "train", rows, vocabulary=200, tokenizer="abc", shard_tokens=25)
    return TokenCorpus(tmp_path / "train")


@pytest.mark.parametrize("reverse", [False, True])
def test_every_row_begins_with_the_token_that_ended_it_in_the_step_before(corpus: TokenCorpus, reverse: bool) -> None:
    """Also over the end of the corpus and the borders of the streams, and when text is read from its end."""
    plan = StreamPlan(corpus.tokens, length=8, batch_tokens=24, seed=1, reverse=reverse)
    steps = [read_windows(corpus, plan.share(step, 0, 1)[1], 8, reverse=reverse) for step in range(40)]
    ring = np.concatenate([read_windows(corpus, np.zeros(1, np.int64), 106, reverse=reverse)[0]] * 5)
    for row in range(3):
        text = np.concatenate([steps[0][row, :1], *(windows[row, 1:] for windows in steps)])
        first = int(np.flatnonzero((ring[:107] == text[0]) & (ring[1:108] == text[1]) & (ring[5:112] == text[5]))[0])
        assert text.tolist() == ring[first : first + len(text)].tolist()
        for before, after in pairwise(steps):
            assert before[row, -1] == after[row, 0]


@pytest.mark.parametrize("tokens", [24, 96, 107, 1000])
@pytest.mark.parametrize("reverse", [False, True])
def test_no_token_is_a_target_more_than_once_more_often_than_another(tokens: int, reverse: bool) -> None:
    """At any step, so that one pass over the corpus covers it and a hundred are as even as one."""
    plan = StreamPlan(tokens, length=8, batch_tokens=24, seed=3, reverse=reverse)
    read = np.zeros(tokens, np.int64)
    for step in range(150):
        _, starts = plan.share(step, 0, 1)
        offsets = np.arange(8) if reverse else np.arange(1, 9)
        np.add.at(read, (starts[:, None] + offsets) % tokens, 1)
        assert read.max() - read.min() <= 1


@pytest.mark.parametrize("world", [1, 2, 3, 5, 8])
def test_ranks_share_the_global_batch_and_keep_their_rows(world: int) -> None:
    plan = StreamPlan(1000, length=10, batch_tokens=50, seed=1)
    for step in (0, 3, 400):
        rows, starts = plan.share(step, 0, 1)
        shares = [plan.share(step, rank, world) for rank in range(world)]
        assert sorted(np.concatenate([part for part, _ in shares]).tolist()) == rows.tolist()
        for rank, (its_rows, its_starts) in enumerate(shares):
            assert (its_rows - step * 5).tolist() == list(range(5))[rank::world]  # the same streams in each step
            assert its_starts.tolist() == starts[rank::world].tolist()


def test_windows_have_numbers_of_their_own_for_the_noise() -> None:
    plan = StreamPlan(100, length=10, batch_tokens=30, seed=1)
    assert np.concatenate([plan.share(step, 0, 1)[0] for step in range(50)]).tolist() == list(range(150))


def test_streams_are_apart_and_begin_where_the_seed_says() -> None:
    one, again, other = (StreamPlan(1000, 10, 100, seed).share(0, 0, 1)[1] for seed in (1, 1, 2))
    assert one.tolist() == again.tolist()
    assert one.tolist() != other.tolist()
    assert set((np.diff(one) % 1000).tolist()) == {100}


def test_a_corpus_of_many_tokens_is_reached_to_its_end() -> None:
    """Places are computed in 64 bits: ten streams over a million million tokens."""
    starts = StreamPlan(10**12, length=10, batch_tokens=100, seed=1).share(10**9, 0, 1)[1]
    assert set((np.diff(starts) % 10**12).tolist()) == {10**11}


def test_a_corpus_shorter_than_a_batch_is_refused_in_one_line() -> None:
    with pytest.raises(UserError, match="fewer than one batch"):
        StreamPlan(20, length=8, batch_tokens=24, seed=1)
