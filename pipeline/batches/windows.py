"""Batches of a language model: windows of equal length over a corpus, in an order computed from seed and step."""

import numpy as np

from pipeline.base.errors import UserError
from pipeline.batches.order import Permutation
from pipeline.batches.reverse import reverse_document
from pipeline.batches.seeds import hash_numbers
from pipeline.shards.read import TokenCorpus


class WindowPlan:
    """Which windows each step reads, for as many epochs as are asked for.

    The corpus is a ring: its end is followed by its beginning, as any document is by the next. An epoch cuts it, from
    a random token on, into windows of `length` + 1 tokens that share one token with the next, so that each token is a
    target once (but for the last `tokens` mod `length`, others in every epoch), and reads them in a random order.
    Windows are numbered in the order of reading, on over the epochs; the number is the sequence's global index.
    """

    def __init__(self, tokens: int, length: int, batch_tokens: int, seed: int) -> None:
        """`batch_tokens` a step, over all devices; a multiple of `length`."""
        if tokens < length + 1:
            raise UserError(
                f"the corpus has {tokens:,} tokens, fewer than one window (`length: {length}` and one more); "
                f"set a smaller `length` or add text"
            )
        if tokens // length * length < batch_tokens:
            raise UserError(
                f"the corpus has {tokens:,} tokens, fewer than one batch (`batch_tokens: {batch_tokens}`); "
                f"set `batch_tokens` to at most {tokens // length * length} or add text"
            )
        self.tokens, self.length, self.seed = tokens, length, seed
        self.windows_per_epoch = tokens // length
        self.batch = batch_tokens // length

    def sequences_of(self, step: int) -> np.ndarray:
        """Numbers of the windows of one step's global batch: int64 (B,)."""
        return np.arange(step * self.batch, (step + 1) * self.batch, dtype=np.int64)

    def starts_of(self, sequences: np.ndarray) -> np.ndarray:
        """Where these windows begin in the corpus, in tokens: int64 (B,)."""
        epochs, positions = np.divmod(sequences, self.windows_per_epoch)
        starts = np.empty_like(sequences)
        for epoch in np.unique(epochs):
            phase = hash_numbers(self.seed, int(epoch), 0) % self.tokens
            order = Permutation(self.windows_per_epoch, hash_numbers(self.seed, int(epoch), 1))
            now = epochs == epoch
            starts[now] = (phase + order.index(positions[now]) * self.length) % self.tokens
        return starts

    def share(self, step: int, rank: int, world: int) -> tuple[np.ndarray, np.ndarray]:
        """One rank's part of a step: (sequences, starts). Empty where there are more ranks than windows."""
        mine = self.sequences_of(step)[rank::world]
        return mine, self.starts_of(mine)


def validation_starts(tokens: int, length: int, limit: int) -> tuple[np.ndarray, int]:
    """Windows for measuring: spread evenly over the text, without overlap, `limit` tokens of it at most.

    Returns their starts, int64 (N,), and their length: shorter than asked where the text is shorter than one window.
    N is 0 where there is no text.
    """
    length = min(length, tokens - 1)
    if length < 1:
        return np.zeros(0, dtype=np.int64), 1
    windows = max(1, min(tokens - 1, limit) // length)
    return np.arange(windows, dtype=np.int64) * (tokens - 1 - length) // max(1, windows - 1), length


def read_windows(corpus: TokenCorpus, starts: np.ndarray, length: int, *, reverse: bool = False) -> np.ndarray:
    """Read windows of `length` + 1 tokens: int64 (len(starts), length + 1). Past the end they go on at the beginning.

    reverse: read backward; see `reverse_document`.
    """
    windows = np.empty((len(starts), length + 1), dtype=np.int64)
    for window, start in zip(windows, starts.tolist(), strict=True):
        before_the_end = min(length + 1, corpus.tokens - start)
        window[:before_the_end] = corpus.read(start, start + before_the_end)
        window[before_the_end:] = corpus.read(0, length + 1 - before_the_end)
    return reverse_document(windows) if reverse else windows
