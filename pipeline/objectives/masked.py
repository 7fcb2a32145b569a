"""The masked objective: put back tokens that were hidden, seeing both sides (Devlin et al. 2019, section 3.1)."""

import torch
from torch import Tensor

from pipeline.objectives.cross_entropy import IGNORED
from pipeline.objectives.example import Example
from pipeline.objectives.noise import Purpose, below, choose
from pipeline.objectives.words import LONGEST, choose_words, words_of
from pipeline.text.specials import MASK, SPECIALS

MASKED_OF_TEN, RANDOM_OF_TEN = 8, 1  # the tenth that is left stays as it was


class Masking:
    """Which tokens are hidden, and what stands in their place."""

    def __init__(self, vocabulary: int, rate: float, begins_V: Tensor | None = None, *, reverse: bool = False) -> None:
        """Hide `rate` of the tokens of a row; whole words with `begins_V` (see `words.word_begins`).

        reverse: rows are read backward, from their last token to their first.
        """
        self.vocabulary, self.rate, self.begins_V, self.reverse = vocabulary, rate, begins_V, reverse

    def count(self, length: int) -> int:
        """How many of `length` tokens are hidden: one at least."""
        return max(1, round(self.rate * length))

    def places(self, tokens_BT: Tensor, seeds_B: Tensor) -> Tensor:
        """The hidden places: bool (B, T), `count(T)` in each row.

        Never special tokens, so there are fewer in a row of too few others; with whole words, see `choose_words`.
        """
        count, allowed_BT = self.count(tokens_BT.size(1)), tokens_BT >= len(SPECIALS)
        if self.begins_V is None:
            return choose(seeds_B, Purpose.PLACES, allowed_BT, count)
        begins_BT = self.begins_V.to(tokens_BT.device)[tokens_BT]
        if self.reverse:  # what begins a word is the last that is read of it
            begins_BT = begins_BT.roll(1, dims=1)
        return choose_words(seeds_B, words_of(begins_BT, min(LONGEST, count)), allowed_BT, count)

    def hide(self, tokens_BT: Tensor, places_BT: Tensor, seeds_B: Tensor) -> Tensor:
        """Put <mask> (8 of 10), a random token that is not special (1 of 10) or nothing new in these places."""
        T = tokens_BT.size(1)
        kinds_BT = below(seeds_B, Purpose.KIND, T, 10)
        random_BT = below(seeds_B, Purpose.REPLACEMENT, T, self.vocabulary - len(SPECIALS)) + len(SPECIALS)
        hidden_BT = tokens_BT.where(kinds_BT >= MASKED_OF_TEN + RANDOM_OF_TEN, random_BT)
        hidden_BT = hidden_BT.masked_fill(kinds_BT < MASKED_OF_TEN, MASK)
        return hidden_BT.where(places_BT, tokens_BT)


class Masked:
    """The hidden tokens are the targets, each in its own place. Of a window the first T tokens are read."""

    per_byte = False

    def __init__(self, masking: Masking) -> None:
        self.masking = masking

    def targets(self, length: int) -> float:
        """As many as are hidden."""
        return self.masking.count(length)

    def examples(self, windows_BT1: Tensor, seeds_B: Tensor) -> list[Example]:
        """One example of all rows."""
        tokens_BT = windows_BT1[:, :-1]
        places_BT = self.masking.places(tokens_BT, seeds_B)
        return [
            Example(
                rows_B=torch.arange(len(tokens_BT), device=tokens_BT.device),
                inputs_BT=self.masking.hide(tokens_BT, places_BT, seeds_B),
                targets_BT=tokens_BT.masked_fill(~places_BT, IGNORED),
                causal=False,
            )
        ]

    measured = examples
