"""A bounded random sample of prepared text, drawn in a stream."""

from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np

from pipeline.text.prepared import read_texts
from pipeline.text.tokenizer import blocks


def sample_blocks(paths: Sequence[Path], size: int, seed: int) -> Iterator[str]:
    """A random sample of the files' text: `size` bytes of UTF-8 give or take one block, or all there is.

    The unit is a document, or a block of a long one. The files have equal parts in it, so that a small domain is not
    drowned by a large corpus; what one has too little of, the others fill up. They are read twice, one after the other.
    """
    have = {path: sum(len(text.encode("utf-8")) for text in read_texts(path)) for path in paths}
    random = np.random.Generator(np.random.PCG64(seed))
    for path, wanted in _shares(have, size).items():
        to_come = have[path]
        for text in read_texts(path):
            for block in blocks(text):
                length = len(block.encode("utf-8"))
                # Selection sampling by bytes (Knuth, The Art of Computer Programming, volume 2, 3.4.2, algorithm S).
                if random.random() * to_come < wanted:
                    wanted -= length
                    yield block
                to_come -= length


def _shares(have: dict[Path, int], size: int) -> dict[Path, int]:
    """Bytes to take of each file, in the order given: an equal part, or all it has where that is less."""
    shares = dict.fromkeys(have, 0)
    smallest_first = sorted(have, key=lambda path: have[path])
    for number, path in enumerate(smallest_first):
        shares[path] = min(have[path], (size - sum(shares.values())) // (len(have) - number))
    return shares
