"""Promises of the reading: every token is read once, under a cap whose cut is counted."""

import numpy as np
import pytest
import torch

from pipeline.classifier.reading import Reading
from tests.classifier.small import documents


@pytest.mark.parametrize(("chunk", "overlap"), [(8, 0), (8, 3), (8, 7), (1, 0)])
def test_chunks_count_every_token_once_and_none_is_longer_than_a_chunk(chunk: int, overlap: int) -> None:
    lengths = torch.tensor([1, 2, 7, 8, 9, 15, 16, 17, 40])
    chunks = Reading(chunk, overlap, max_tokens=64).chunks(lengths)
    counted = [np.zeros(length, dtype=int) for length in lengths]
    for row in range(len(chunks.document_M)):
        start, length, context = (int(x[row]) for x in (chunks.start_M, chunks.length_M, chunks.context_M))
        assert context < length <= chunk, "a chunk reads something new, and no more than a chunk"
        counted[int(chunks.document_M[row])][start + context : start + length] += 1
    assert all((times == 1).all() for times in counted)


def test_a_later_chunk_begins_with_the_overlap_and_gradients_flow_through_the_last_ones() -> None:
    chunks = Reading(8, 2, max_tokens=64, gradient_chunks=2).chunks(torch.tensor([20, 5]))
    assert chunks.start_M.tolist() == [0, 6, 12, 0]
    assert chunks.context_M.tolist() == [0, 2, 2, 0]
    assert chunks.trains_M.tolist() == [False, True, True, True]
    assert chunks.last_M.tolist() == [False, False, True, True]


def test_cap_keeps_the_beginning_and_the_end_mark_and_counts_what_it_leaves_out() -> None:
    reading = Reading(8, 0, max_tokens=10)
    short, exact, long = documents(4, 10, 25)
    assert reading.cap(short) is short
    assert reading.cap(exact) is exact
    assert reading.cap(long).tolist() == [*long[:9], 2]
    assert reading.cut([4, 10, 25, 11]) == (2, 16)
    assert reading.cut([]) == (0, 0)


def test_batch_pads_on_the_right_and_gives_true_lengths() -> None:
    tokens_BT, lengths_B = Reading(8, 0, max_tokens=10).batch(documents(4, 25))
    assert tokens_BT.dtype == lengths_B.dtype == torch.int64
    assert tokens_BT.shape == (2, 10)
    assert lengths_B.tolist() == [4, 10]
    assert tokens_BT[0, 4:].tolist() == [0] * 6
