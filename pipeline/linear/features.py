"""N-gram features: texts in, sparse count matrices out. What they learn is a list of strings, no object to pickle."""

import re
import unicodedata
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache, cached_property
from itertools import groupby

import numpy as np
from scipy.sparse import csr_matrix

MARKS = (range(0x300, 0x20000), range(0xE0100, 0xE0200))  # where Unicode has its combining marks
MAX_WEIGHTS = 2**23  # of one model, features x classes; the solver keeps some twenty vectors of that size


@dataclass(frozen=True)
class Ngrams:
    """What counts as a feature: words or characters in lower case, alone and in runs of up to `longest`."""

    unit: str  # a regular expression that finds one word, or "character"
    longest: int


@cache
def _letter() -> str:
    """Regular expression for a character of a word: what Python's \\w takes, and the marks it leaves out.

    \\w does not match combining marks, on which words of Hindi, Thai or Tamil would fall apart.
    """
    points = (point for part in MARKS for point in part if unicodedata.category(chr(point)).startswith("M"))
    runs = (list(run) for _, run in groupby(enumerate(points), key=lambda pair: pair[1] - pair[0]))
    return r"[\w" + "".join(f"\\U{run[0][1]:08x}-\\U{run[-1][1]:08x}" for run in runs) + "]"


def word_ngrams(spaced: bool) -> Ngrams:
    """Words of two letters and more, alone and in pairs: scikit-learn's usual features, for any script.

    Where words are not `spaced`, one to four characters in a row.
    """
    return Ngrams(_letter() + "{2,}", 2) if spaced else Ngrams("character", 4)


def token_ngrams(spaced: bool) -> Ngrams:
    """Like `word_ngrams`, with words of one letter and punctuation, which carry sentiment ("!", "?")."""
    return Ngrams(_letter() + r"+|[^\w\s]", 2) if spaced else Ngrams("character", 4)


@dataclass(frozen=True)
class Vocabulary:
    """The n-grams of a training set, in the order of the features' columns."""

    ngrams: Ngrams
    terms: tuple[str, ...]

    def counts(self, texts: Sequence[str]) -> csr_matrix:
        """How often each n-gram occurs in each text: (N, V) float64."""
        columns, numbers, ends = [], [], [0]  # type: tuple[list[int], list[int], list[int]]
        for text in texts:
            found = Counter(map(self._column.get, occurrences(self.ngrams, text)))
            known = sorted((column, number) for column, number in found.items() if column is not None)
            columns += [column for column, _ in known]
            numbers += [number for _, number in known]
            ends.append(len(columns))
        return csr_matrix((np.array(numbers, np.float64), columns, ends), (len(texts), len(self.terms)))

    @cached_property
    def _column(self) -> dict[str, int]:
        return {term: column for column, term in enumerate(self.terms)}


def occurrences(ngrams: Ngrams, text: str) -> list[str]:
    """Every n-gram of a text, as scikit-learn's `CountVectorizer` finds them."""
    text = text.lower()
    characters = ngrams.unit == "character"
    units = re.sub(r"\s\s+", " ", text) if characters else re.findall(ngrams.unit, text)
    between = "" if characters else " "
    found = of_size = list(units)
    for size in range(2, ngrams.longest + 1):
        of_size = [f"{start}{between}{unit}" for start, unit in zip(of_size, units[size - 1 :], strict=False)]
        found = found + of_size
    return found


def learn(ngrams: Ngrams, texts: Sequence[str], classes: int) -> tuple[Vocabulary, csr_matrix]:
    """Collect the n-grams of the training texts and count them: as many as a model of that many classes can hold.

    Returns:
        The vocabulary of V n-grams, and their counts in `texts`: (N, V) float64.
    """
    return most_frequent(ngrams, texts, MAX_WEIGHTS // classes)


def most_frequent(
    ngrams: Ngrams, texts: Sequence[str], most: int, in_documents: int = 1
) -> tuple[Vocabulary, csr_matrix]:
    """The `most` most frequent n-grams, of those that occur in so many documents, and their counts: (N, V) float64.

    There may be none, V = 0: texts of emoji or of single letters have no word of two.
    """
    from sklearn.feature_extraction.text import CountVectorizer  # a second to import, which prediction is spared

    unit: dict[str, str] = {"analyzer": "char"} if ngrams.unit == "character" else {"token_pattern": ngrams.unit}
    sizes = (1, ngrams.longest)
    vectorizer = CountVectorizer(ngram_range=sizes, dtype=np.float64, max_features=most, min_df=in_documents, **unit)
    try:
        counts = vectorizer.fit_transform(texts)
    except ValueError:  # what scikit-learn raises where there is no n-gram, or none in so many documents
        nothing = Vocabulary(ngrams, ())
        return nothing, nothing.counts(texts)
    return Vocabulary(ngrams, tuple(vectorizer.get_feature_names_out().tolist())), counts


def binarised(counts: csr_matrix) -> csr_matrix:
    """1 where an n-gram occurs, else 0: (N, V)."""
    return csr_matrix((np.ones_like(counts.data), counts.indices, counts.indptr), shape=counts.shape)


def inverse_document_frequency(counts: csr_matrix) -> np.ndarray:
    """ln((1 + N) / (1 + documents with the n-gram)) + 1, as scikit-learn defines it: (V,)."""
    documents = np.bincount(counts.indices, minlength=counts.shape[1])
    return np.log((1 + counts.shape[0]) / (1 + documents)) + 1


def tf_idf(counts: csr_matrix, idf_V: np.ndarray) -> csr_matrix:
    """(1 + ln count) x idf, each text scaled to length one: (N, V). A text without known n-grams stays zero."""
    weighted = csr_matrix(
        ((1 + np.log(counts.data)) * idf_V[counts.indices], counts.indices, counts.indptr), counts.shape
    )
    lengths_N = np.sqrt(weighted.multiply(weighted).sum(axis=1)).A1
    weighted.data /= np.repeat(np.where(lengths_N > 0, lengths_N, 1), np.diff(weighted.indptr))
    return weighted
