"""Padding and reversal of rows of tokens."""

import numpy as np

from pipeline.batches.pad import pad
from pipeline.batches.reverse import reverse_document


def test_rows_are_filled_on_the_right_and_keep_their_lengths() -> None:
    tokens_BT, lengths_B = pad([np.array([1, 7, 2], np.uint16), np.array([1, 2], np.uint16)])
    assert tokens_BT.tolist() == [[1, 7, 2], [1, 2, 0]]
    assert lengths_B.tolist() == [3, 2]
    assert tokens_BT.dtype == lengths_B.dtype == np.int64


def test_no_rows_make_an_empty_batch() -> None:
    tokens_BT, lengths_B = pad([])
    assert tokens_BT.shape == (0, 0)
    assert lengths_B.shape == (0,)


def test_a_document_read_backward_still_begins_with_bos_and_ends_with_eos() -> None:
    document = np.array([1, 10, 11, 12, 2])
    assert reverse_document(document).tolist() == [1, 12, 11, 10, 2]
    assert document.tolist() == [1, 10, 11, 12, 2]


def test_reading_backward_twice_is_reading_forward() -> None:
    windows = np.array([[10, 2, 1, 11, 12], [1, 10, 2, 1, 2]])
    assert reverse_document(windows).tolist() == [[12, 11, 2, 1, 10], [1, 2, 1, 10, 2]]
    assert reverse_document(reverse_document(windows)).tolist() == windows.tolist()
