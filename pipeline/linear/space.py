"""Latent semantic analysis (Deerwester et al. 1990): what the unlabelled text knows of its n-grams.

The largest singular directions of the domain's TF-IDF matrix. Words that stand in like documents lie close together
there, so that a few labels reach words that no labelled document has.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from safetensors import SafetensorError
from safetensors.numpy import load_file, save
from scipy.sparse import csr_array, csr_matrix

from pipeline.base.errors import UserError
from pipeline.base.files import read_json, whole_folder, write_bytes, write_json
from pipeline.linear.features import (
    MAX_WEIGHTS,
    Vocabulary,
    inverse_document_frequency,
    most_frequent,
    tf_idf,
    token_ngrams,
)

TERMS = 50_000  # n-grams that are placed in the space, the most frequent ones
DOCUMENTS = 20_000  # that it is learnt from, at most
DIRECTIONS = 256
FEWEST = 200  # documents below which there is nothing to learn that the labelled ones do not say themselves
CONFIG, ARRAYS, NAMES = "config.json", "space.safetensors", "terms.json"


@dataclass(frozen=True)
class Space:
    """A vocabulary of V n-grams and a place for each of them."""

    vocabulary: Vocabulary
    idf_V: np.ndarray
    # Orthonormal columns, the strongest first; rows of them where many classes leave out n-grams.
    basis_VR: np.ndarray

    def places(self, texts: Sequence[str]) -> np.ndarray:
        """Where texts lie: (N, R). Not scaled to length one, so that what is linear here is linear in the n-grams."""
        return tf_idf(self.vocabulary.counts(texts), self.idf_V) @ self.basis_VR

    def held_by(self, classes: int) -> "Space":
        """As much of it as a model of so many classes can hold: the n-grams that most documents have."""
        most = MAX_WEIGHTS // classes
        if len(self.vocabulary.terms) <= most:
            return self
        kept = np.sort(np.argsort(self.idf_V, kind="stable")[:most])
        terms = tuple(self.vocabulary.terms[place] for place in kept)
        return Space(Vocabulary(self.vocabulary.ngrams, terms), self.idf_V[kept], self.basis_VR[kept])


def learn_space(texts: Sequence[str], *, spaced: bool, seed: int = 1) -> Space | None:
    """Factorise the TF-IDF matrix of unlabelled texts; None where they are too few, or no two share an n-gram.

    Equal bytes for equal texts on any number of threads.
    """
    from pipeline.linear.svd import truncated_svd  # with torch, which whoever only uses a space does without

    if len(texts) < FEWEST:
        return None
    some = spread(texts, DOCUMENTS)
    vocabulary, counts_NV = most_frequent(token_ngrams(spaced), some, TERMS, in_documents=2)
    if not vocabulary.terms:
        return None
    idf_V = inverse_document_frequency(counts_NV)
    weighted_VN = csr_array(tf_idf(counts_NV, idf_V).T.tocsr().astype(np.float32))
    basis_VR, _ = truncated_svd(weighted_VN, DIRECTIONS, seed)
    return Space(vocabulary, idf_V.astype(np.float32), np.ascontiguousarray(basis_VR, dtype=np.float32))


def spread(texts: Sequence[str], most: int) -> Sequence[str]:
    """The texts, or `most` of them and fewer: every so many-th."""
    return texts[:: max(1, -(-len(texts) // most))]


def save_space(folder: Path, space: Space | None, spaced: bool) -> None:
    """Write a space, or that there is none; `folder` is replaced as a whole or left as it was."""
    with whole_folder(folder) as partial:
        write_json(partial / CONFIG, {"kind": "space", "terms": len(space.idf_V) if space else 0, "spaced": spaced})
        if space is not None:
            write_bytes(partial / ARRAYS, save({"idf_V": space.idf_V, "basis_VR": space.basis_VR}))
            write_json(partial / NAMES, list(space.vocabulary.terms))


def load_space(folder: Path, classes: int) -> Space | None:
    """Read what `save_space` wrote, as much as models of so many classes hold; a damaged folder is a `UserError`."""
    config = read_json(folder / CONFIG)
    try:
        if not config["terms"]:
            return None
        ngrams = token_ngrams(config["spaced"])
        terms, arrays = tuple(read_json(folder / NAMES)), load_file(folder / ARRAYS)
        if not len(terms) == len(arrays["idf_V"]) == len(arrays["basis_VR"]) == config["terms"]:
            raise ValueError(f"{len(terms)} terms where there should be {config['terms']}")
    except (KeyError, TypeError, ValueError, SafetensorError, OSError) as error:
        raise UserError(f"{folder}: is not a whole space ({error}); make it again with `dvc repro lsa`") from error
    return Space(Vocabulary(ngrams, terms), arrays["idf_V"], arrays["basis_VR"]).held_by(classes)


def as_sparse(places_NR: np.ndarray) -> csr_matrix:
    """The same rows as a sparse matrix, which is what the choice of settings takes.

    Zeros are kept as entries: a direction stays in its column where no document has anything in it.
    """
    N, R = places_NR.shape
    columns = np.tile(np.arange(R), N)
    return csr_matrix((places_NR.astype(np.float64).ravel(), columns, np.arange(0, N * R + 1, R)), shape=(N, R))
