"""Which chunks of a batch go through a network together, in which order, and what one hands to the next."""

from collections.abc import Iterator
from typing import NamedTuple

import torch
from torch import Tensor, nn

from pipeline.classifier.reading import Chunks
from pipeline.models.cache import Cache


class Pass(NamedTuple):
    """Some chunks, one call of the backbone."""

    rows_K: Tensor
    # Whether gradients flow through them.
    trains: bool
    # The state after the chunks before, and then after these; None where every chunk begins anew.
    cache: Cache | None = None


def apart(chunks: Chunks, trains_M: Tensor, chunk_tokens: int, at_most: int) -> Iterator[Pass]:
    """Passes of a network that reads each chunk for itself.

    Whole chunks and the shorter ones that end a document go apart, so that only the latter are padded. Chunks without
    gradients come in parts of `at_most`, so that a document's length costs time and no memory; and they come last,
    because autocast may keep a weight's cast, and theirs has no gradient.
    """
    whole_M = chunks.length_M == chunk_tokens
    yield from (Pass(rows_K, True) for rows_K in _rows(trains_M & ~whole_M))
    yield from (Pass(rows_K, True) for rows_K in _rows(trains_M & whole_M))
    for rows_K in _rows(~trains_M):
        yield from (Pass(part_K, False) for part_K in rows_K.split(at_most))


def in_turn(chunks: Chunks, trains_M: Tensor) -> Iterator[Pass]:
    """Passes of a recurrent network: all documents' first chunks, then the second ones, which go on from there.

    "At the beginning of each batch, the model is initialized with the final state of the previous batch" (Howard &
    Ruder 2018, section 3.3, BPT3C): gradients flow from a chunk into the one before it if that trains too. A document
    whose end is shorter than a chunk is padded there, after which nothing needs its state.
    """
    carried: dict[nn.Module, tuple[Tensor, ...]] = {}
    place_B = torch.zeros(int(chunks.document_M.max()) + 1, dtype=torch.int64)  # of each document's state in these
    for number in range(chunks.most):
        documents, caches = [], []
        for trains in (True, False):
            for rows_K in _rows((chunks.number_M == number) & (trains_M == trains)):
                documents.append(chunks.document_M[rows_K])
                caches.append(cache := Cache())
                places_K = place_B[documents[-1]]
                cache.states = {
                    layer: tuple(part[places_K.to(part.device)] for part in parts) for layer, parts in carried.items()
                }
                yield Pass(rows_K, trains, cache)
        torch.clear_autocast_cache()  # a weight's cast that was made without gradients is none for the next pass
        place_B[torch.cat(documents)] = torch.arange(sum(map(len, documents)))
        carried = {
            layer: tuple(torch.cat(parts) for parts in zip(*(cache.states[layer] for cache in caches), strict=True))
            for layer in caches[0].states
        }


def _rows(wanted_M: Tensor) -> Iterator[Tensor]:
    """The numbers of the chunks wanted, in one tensor; none if there are none."""
    rows_K = wanted_M.nonzero().flatten()
    if len(rows_K):
        yield rows_K
