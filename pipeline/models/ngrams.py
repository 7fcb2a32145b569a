"""Embeddings of hashed n-grams beside those of tokens: weights that cost a look-up and next to no matrix product.

A token enters knowing those before it (Joulin et al. 2017, "Bag of Tricks for Efficient Text Classification", section
2.2; under a Transformer, Huang et al. 2025, "Over-Tokenized Transformer", over-encoding).
"""

import torch.nn.functional as F
from torch import Tensor, nn

from pipeline.models.cache import Cache
from pipeline.models.settings import TransformerSettings
from pipeline.models.weights import Embedding, Linear

FACTOR, PRIME = 1_000_003, 2**31 - 1  # products of a code and the factor stay below 2^63


class HashedNgrams(nn.Module):
    """A table (buckets, W) in which n-grams that meet share a row, and a matrix that makes their rows E wide.

    The table starts at zero, so that a network begins as one without it.
    """

    def __init__(self, settings: TransformerSettings) -> None:
        super().__init__()
        self.longest, width = settings.ngrams, settings.ngram_width
        self.table = Embedding(settings.ngram_buckets, width, std=0.0)
        self.out = Linear(width, settings.token_width, bias=False, std=width**-0.5)

    def forward(self, tokens_BT: Tensor, cache: Cache | None) -> Tensor:
        """What the n-grams that end with each token add to its embedding, (B, T, E)."""
        rows_BTW = [self.table(codes_BT % self.table.num_embeddings) for codes_BT in self._codes(tokens_BT, cache)]
        return self.out(sum(rows_BTW[1:], start=rows_BTW[0]))

    def _codes(self, tokens_BT: Tensor, cache: Cache | None) -> list[Tensor]:
        """A number (B, T) below PRIME for the n-gram that ends with each token, for n = 2, ..., `longest`.

        Before the first token of a row stand zeros, unless the cache has seen others.
        """
        T, before = tokens_BT.size(1), self.longest - 1
        (seen_BS,) = (tokens_BT,) if cache is None else cache.extend(self, tokens_BT)
        seen_BS = F.pad(seen_BS, (before, 0))[:, -(before + T) :]
        codes, code_BT = [], tokens_BT
        for back in range(1, before + 1):
            code_BT = (code_BT * FACTOR + seen_BS[:, before - back : before - back + T] + 1) % PRIME
            codes.append(code_BT)
        return codes
