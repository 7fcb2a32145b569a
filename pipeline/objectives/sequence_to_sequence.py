"""Pairs of sequences: an encoder reads the source, a decoder writes the target (Vaswani et al. 2017, section 3).

As data this is no objective over windows of a corpus, so it is not among the names that a config may choose.
"""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

from pipeline.batches.pad import pad
from pipeline.objectives.cross_entropy import IGNORED
from pipeline.text.specials import BOS, EOS


class Sources(NamedTuple):
    """What the encoder reads."""

    # Token numbers and <eos>, padded on the right, (B, S) int64.
    source_BS: Tensor
    # Tokens of each, <eos> included, (B) int64.
    lengths_B: Tensor


class Pairs(NamedTuple):
    """A batch for `EncoderDecoder.forward` and its loss."""

    sources: Sources
    # The target shifted right: <bos>, then all of it, padded on the right, (B, T) int64.
    inputs_BT: Tensor
    # What each input must be followed by: the target, <eos>, then IGNORED.
    targets_BT: Tensor


def sources_of(sources: Sequence[Sequence[int]]) -> Sources:
    """A batch of sources, which may have different lengths."""
    source_BS, lengths_B = pad([np.array([*tokens, EOS]) for tokens in sources])
    return Sources(torch.from_numpy(source_BS), torch.from_numpy(lengths_B))


def pairs_of(sources: Sequence[Sequence[int]], targets: Sequence[Sequence[int]]) -> Pairs:
    """A batch of sources and the target of each; neither holds special tokens of its own."""
    inputs_BT, _ = pad([np.array([BOS, *tokens]) for tokens in targets])
    targets_BT, _ = pad([np.array([*tokens, EOS]) for tokens in targets], IGNORED)
    return Pairs(sources_of(sources), torch.from_numpy(inputs_BT), torch.from_numpy(targets_BT))
