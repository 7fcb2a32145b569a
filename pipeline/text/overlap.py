"""Near-duplicates by shared n-grams: which documents of a corpus repeat a held-out document.

A document is a sequence of units, its words, or its characters where words are not separated by spaces. Texts
are compared in Unicode form NFKC, case folded, without punctuation or spaces. Each run of `WORDS` words or
`CHARACTERS` characters is an n-gram, kept as a 64-bit hash (an accidental match among 10^7 held-out n-grams:
one in 10^12 n-grams). A corpus document is a near-duplicate where

- at least `SHARE` of its n-grams occur in held-out documents, or
- it contains at least `SHARE` of one held-out document's distinct n-grams, or
- it is too short for an n-gram, or the held-out one is, and both are the same sequence of units.

13 words is the run that GPT-3 used for the same purpose (Brown et al. 2020, appendix C).
"""

import unicodedata
from collections.abc import Iterable, Sequence
from functools import cache
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from pipeline.text.groups import grouped

WORDS = 13
CHARACTERS = 25  # about 13 words of Chinese or Japanese; long enough to be no accident in a genome
SHARE = 0.3
BATCH = 1_000_000  # characters hashed at a time: a few dozen MB of arrays
EXPANDED = 1_000_000  # pairs of an n-gram and a held-out document looked at together; those of one document at least

Hashes = NDArray[np.uint64]
Indices = NDArray[np.int64]

# Separators beyond ASCII: controls, Latin-1 signs, general punctuation, CJK punctuation, full-width signs.
SEPARATORS = (
    (0x80, 0xA9), (0xAB, 0xB1), (0xB4, 0xB4), (0xB6, 0xB8), (0xBB, 0xBF), (0xD7, 0xD7), (0xF7, 0xF7),
    (0x2000, 0x206F), (0x2E00, 0x2E7F), (0x3000, 0x3004), (0x3008, 0x3020), (0x3030, 0x3030), (0xFF00, 0xFF0F),
    (0xFF1A, 0xFF20), (0xFF3B, 0xFF40), (0xFF5B, 0xFF65), (0xFEFF, 0xFEFF),
)  # fmt: skip
BASE = np.uint64(0x9E3779B97F4A7C15)  # odd, so that it has an inverse modulo 2^64
INVERSE = np.uint64(pow(int(BASE), -1, 1 << 64))


class NGrams(NamedTuple):
    """The n-grams of some documents: a hash of each, and the document it stands in, in order of place.

    `whole` is one hash a document, of all its units; 0 where it has none.
    """

    hashes: Hashes
    owners: Indices
    whole: Hashes

    def sizes(self) -> Indices:
        """N-grams of each document."""
        return np.bincount(self.owners, minlength=len(self.whole))


def ngrams(texts: Iterable[str], *, spaced: bool = True) -> NGrams:
    """The n-grams of documents, hashed batch by batch."""
    found, documents = [NGrams(np.zeros(0, np.uint64), np.zeros(0, np.int64), np.zeros(0, np.uint64))], 0
    for batch in grouped(texts, BATCH):
        grams = _hash(batch, spaced)
        found.append(grams._replace(owners=grams.owners + documents))
        documents += len(batch)
    hashes, owners, whole = zip(*found, strict=True)
    return NGrams(np.concatenate(hashes), np.concatenate(owners), np.concatenate(whole))


class HeldOut:
    """The n-grams of documents that a corpus must not repeat.

    Memory: 16 bytes for each distinct one, 8 for each document that has it, and 8 to 16 for a table that spares most
    of the searches. Time: a step for each document that has an n-gram of a corpus document, so that many documents
    with a long passage in common cost as many steps wherever it stands.
    """

    def __init__(self, grams: NGrams) -> None:
        # Each n-gram is kept for every document that has it: which of two quotes the other must not matter.
        order = np.argsort(grams.hashes, kind="stable")  # so that the owners of a hash are in order too
        hashes, owners = grams.hashes[order], grams.owners[order]
        new = np.ones(len(hashes), dtype=np.bool_)
        new[1:] = (hashes[1:] != hashes[:-1]) | (owners[1:] != owners[:-1])
        hashes, self.owners = hashes[new], owners[new]
        self.hashes, starts = np.unique(hashes, return_index=True)
        self.starts = np.append(starts, len(hashes))  # where the owners of each hash begin
        self.sizes = np.bincount(self.owners, minlength=len(grams.whole))  # distinct n-grams of each document
        self.whole = np.unique(grams.whole[grams.whole != 0])
        self.shift = np.uint64(64 - max(8, (8 * len(self.hashes)).bit_length()))
        self.leading = np.zeros(1 << (64 - int(self.shift)), dtype=np.bool_)  # leading bits that some hash has
        self.leading[self.hashes >> self.shift] = True

    def near_duplicates(self, grams: NGrams) -> NDArray[np.bool_]:
        """True for each document that repeats a held-out one, by the rules of this module."""
        document, place = self._matches(grams)
        found = np.isin(grams.whole, self.whole)
        matched = np.bincount(document, minlength=len(found))
        found |= (matched > 0) & (matched >= SHARE * grams.sizes())
        open_still = ~found[document]
        pairs = np.unique(document[open_still] * len(self.hashes) + place[open_still])
        if len(pairs):
            found[self._holding(*np.divmod(pairs, len(self.hashes)))] = True
        return found

    def _holding(self, document: Indices, place: Indices) -> Indices:
        """The documents that hold enough of one held-out document; the pairs are distinct and sorted."""
        found, start = [], 0
        ends = np.cumsum(self.starts[place + 1] - self.starts[place])
        while start < len(document):
            stop = np.searchsorted(ends, (ends[start - 1] if start else 0) + EXPANDED, side="right")
            if stop < len(document):  # back to the end of a document, but by one document at least
                stop = np.searchsorted(document, max(document[stop], document[start] + 1))
            owners, times = self._owners_of(place[start:stop])
            pairs, counts = np.unique(
                np.repeat(document[start:stop], times) * len(self.sizes) + owners, return_counts=True
            )
            corpus, held_out = np.divmod(pairs, len(self.sizes))
            found.append(corpus[counts >= SHARE * self.sizes[held_out]])
            start = int(stop)
        return np.concatenate(found)

    def _owners_of(self, place: Indices) -> tuple[Indices, Indices]:
        """The held-out documents of each of these hashes, one after another, and how many each has."""
        times = self.starts[place + 1] - self.starts[place]
        begin = np.cumsum(times) - times
        return self.owners[np.arange(times.sum()) + np.repeat(self.starts[place] - begin, times)], times

    def touched(self, grams: NGrams) -> NDArray[np.bool_]:
        """True for each document that shares any n-gram at all with a held-out one, or all of its units."""
        found = np.isin(grams.whole, self.whole)
        found[self._matches(grams)[0]] = True
        return found

    def repeated_in(self, grams: NGrams, corpus: Iterable[str], *, spaced: bool = True) -> NDArray[np.bool_]:
        """True for each held-out document that a corpus repeats; `grams`: the n-grams this was made of.

        A document counts where at least `SHARE` of its n-grams occur anywhere in the corpus, which is streamed.
        """
        seen = np.zeros(len(self.hashes), dtype=np.bool_)
        found = np.zeros(len(grams.whole), dtype=np.bool_)
        for batch in grouped(corpus, BATCH):
            others = ngrams(batch, spaced=spaced)
            seen[self._matches(others)[1]] = True
            found |= np.isin(grams.whole, others.whole)
        counts = np.bincount(grams.owners[seen[np.searchsorted(self.hashes, grams.hashes)]], minlength=len(found))
        return (found & (grams.whole != 0)) | ((counts > 0) & (counts >= SHARE * grams.sizes()))

    def _matches(self, grams: NGrams) -> tuple[Indices, Indices]:
        """For each n-gram that is held out, its document and its place in `self.hashes`."""
        likely = np.flatnonzero(self.leading[grams.hashes >> self.shift])
        place = np.minimum(np.searchsorted(self.hashes, grams.hashes[likely]), len(self.hashes) - 1)
        hit = self.hashes[place] == grams.hashes[likely]
        return grams.owners[likely[hit]], place[hit]


def near_repeats(grams: NGrams) -> NDArray[np.bool_]:
    """True for each document at least `SHARE` of whose n-grams occur in earlier ones, or that has all their units."""
    _, first, inverse = np.unique(grams.hashes, return_index=True, return_inverse=True)
    earlier = grams.owners[first][inverse] < grams.owners
    counts = np.bincount(grams.owners[earlier], minlength=len(grams.whole))
    _, first, inverse = np.unique(grams.whole, return_index=True, return_inverse=True)
    same = (first[inverse] < np.arange(len(inverse))) & (grams.whole != 0)
    return same | ((counts > 0) & (counts >= SHARE * grams.sizes()))


def _hash(texts: Sequence[str], spaced: bool) -> NGrams:
    units, owners = _units(texts, spaced)
    width = WORDS if spaced else CHARACTERS
    sums, inverse = _prefix_sums(units)
    starts = np.flatnonzero(owners[: 1 - width] == owners[width - 1 :])
    first = np.searchsorted(owners, np.arange(len(texts)), side="left")
    last = np.searchsorted(owners, np.arange(len(texts)), side="right")
    whole = _mix((sums[last] - sums[first]) * inverse[first])
    return NGrams(
        hashes=_mix((sums[starts + width] - sums[starts]) * inverse[starts]),
        owners=owners[starts],
        whole=np.where(last > first, whole, np.uint64(0)),
    )


def _units(texts: Sequence[str], spaced: bool) -> tuple[Hashes, Indices]:
    """A hash of each unit of the texts, in order, and the text it belongs to."""
    folded = [unicodedata.normalize("NFKC", text).casefold() for text in texts]
    codes = np.frombuffer("\0".join([*folded, ""]).encode("utf-32-le", "surrogatepass"), dtype=np.uint32)
    inside = _is_unit()[codes]
    borders = np.cumsum([len(text) + 1 for text in folded])  # the end of each text with its separator
    if not spaced:
        places = np.flatnonzero(inside)
        return _mix(codes[places].astype(np.uint64)), np.searchsorted(borders, places, side="right")
    before = np.concatenate([[False], inside[:-1]])
    edges = np.flatnonzero(inside != before)  # the last code is a separator
    starts, ends = edges[::2], edges[1::2]
    sums, inverse = _prefix_sums(_mix(codes.astype(np.uint64)))
    return _mix((sums[ends] - sums[starts]) * inverse[starts]), np.searchsorted(borders, starts, side="right")


def _prefix_sums(values: Hashes) -> tuple[Hashes, Hashes]:
    """Sums of value · BASE^place before each place, and BASE^-place: the polynomial hash of any run in two steps.

    The hash of the run [a, b) is (sums[b] - sums[a]) * inverse[a] modulo 2^64, wherever the run stands.
    """
    most = max(BATCH, len(values)).bit_length()
    powers, inverse = _powers(int(BASE), most), _powers(int(INVERSE), most)
    sums = np.zeros(len(values) + 1, dtype=np.uint64)
    np.cumsum(values * powers[: len(values)], out=sums[1:])
    return sums, inverse


@cache
def _powers(base: int, bits: int) -> Hashes:
    """Powers of a base modulo 2^64, from the 0th on, as many as a number of so many bits can ask for."""
    powers = np.full(1 << bits, base, dtype=np.uint64)
    powers[0] = 1
    return np.cumprod(powers, out=powers)


def _mix(values: Hashes) -> Hashes:
    """Spread every bit of a value over all of its bits (the finaliser of SplitMix64, Steele et al. 2014)."""
    values = values + np.uint64(0x9E3779B97F4A7C15)
    values ^= values >> np.uint64(30)
    values *= np.uint64(0xBF58476D1CE4E5B9)
    values ^= values >> np.uint64(27)
    values *= np.uint64(0x94D049BB133111EB)
    values ^= values >> np.uint64(31)
    return values


@cache
def _is_unit() -> NDArray[np.bool_]:
    """For each code point, whether it belongs to a word: letters, digits, and all of other scripts but punctuation."""
    table = np.ones(0x110000, dtype=np.bool_)
    table[:0x80] = [chr(code).isalnum() for code in range(0x80)]
    for first, last in SEPARATORS:
        table[first : last + 1] = False
    return table
