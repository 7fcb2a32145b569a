"""Rows of different lengths in one array."""

from collections.abc import Sequence

import numpy as np

from pipeline.text.specials import PAD


def pad(rows: Sequence[np.ndarray], pad_id: int = PAD) -> tuple[np.ndarray, np.ndarray]:
    """Fill rows up on the right: tokens_BT and lengths_B, both int64; T is the longest row's length."""
    lengths_B = np.array([len(row) for row in rows], dtype=np.int64)
    tokens_BT = np.full((len(rows), lengths_B.max(initial=0)), pad_id, dtype=np.int64)
    for row_T, tokens_T in zip(rows, tokens_BT, strict=True):
        tokens_T[: len(row_T)] = row_T
    return tokens_BT, lengths_B
