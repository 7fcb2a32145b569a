"""Text read from its end: what the backward direction sees."""

import numpy as np

from pipeline.text.specials import BOS, EOS


def reverse_document(tokens: np.ndarray) -> np.ndarray:
    """Reverse tokens (..., T) along the last axis; <bos> and <eos> change places, so that <bos> still comes first."""
    backward = tokens[..., ::-1].copy()
    bos, eos = backward == BOS, backward == EOS
    backward[bos], backward[eos] = EOS, BOS
    return backward
