"""Batches of a language model that carries its state: parallel streams, each read from window to window."""

import numpy as np

from pipeline.batches.seeds import hash_numbers
from pipeline.batches.windows import WindowPlan


class StreamPlan(WindowPlan):
    """Which windows each step reads, so that row b of a step goes on where row b of the step before ended.

    `batch` streams set out at even distances on the ring that the corpus is, from a random token on, and read window
    after window for ever: a window's last token is the first of the next. Where a stream reaches the start of another,
    or the end of the corpus, it reads on, and its state with it. There is no epoch that would begin elsewhere or in
    another order: that would cut every state off from its text. After any number of steps, no token has been a target
    more than once more often than another.

    A window's number is step * batch + row. A rank's rows, `rank`, `rank + world` and so on, are the same in each step,
    and so are its micro batches. Sequences, shares and errors are those of `WindowPlan`.
    """

    def __init__(self, tokens: int, length: int, batch_tokens: int, seed: int, *, reverse: bool = False) -> None:
        """reverse: for windows read backward, which follow each other towards the beginning of the corpus."""
        super().__init__(tokens, length, batch_tokens, seed)
        self.advance = -length if reverse else length

    def starts_of(self, sequences: np.ndarray) -> np.ndarray:
        """Where these windows begin in the corpus, in tokens: int64 (B,)."""
        steps, rows = np.divmod(sequences, self.batch)
        phase = hash_numbers(self.seed) % self.tokens
        return (phase + rows * self.tokens // self.batch + steps * self.advance) % self.tokens
