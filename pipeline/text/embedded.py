"""The data set that comes with the installation: documentation strings of the libraries `requirements.lock` pins.

The task is which library a docstring documents, their names hidden; the domain corpus is all text of the task's
libraries, the generic corpus that of the others. A second task of other libraries (`development_...`) is the one
on which the recipe was developed.
"""

import hashlib
from collections.abc import Iterator
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from pipeline.text.docstrings import read_all, source_files
from pipeline.text.groups import grouped
from pipeline.text.libraries import DEVELOPMENT, OTHERS, SAMPLE, SAMPLE_DOMAIN, TASK, mask
from pipeline.text.lock import LOCK, pinned
from pipeline.text.overlap import BATCH, SHARE, HeldOut, ngrams
from pipeline.text.sources.row import Row

# Part -> (libraries whose text it is, libraries of the task that its text must not touch).
PARTS: dict[str, tuple[tuple[str, ...], tuple[str, ...]]] = {
    "generic": (DEVELOPMENT + OTHERS, TASK),
    "domain": (TASK, ()),
    "task": (TASK, ()),
    "sample_generic": (SAMPLE, ()),
    "sample_domain": (SAMPLE_DOMAIN, ()),
    "development_generic": (OTHERS, DEVELOPMENT),
    "development_domain": (DEVELOPMENT, ()),
    "development_task": (DEVELOPMENT, ()),
}
CORPUS_CHARACTERS = 80  # shortest docstring of a corpus
TASK_CHARACTERS = 200  # shortest docstring of a task: less says too little

Texts = dict[str, list[str]]  # library -> its docstrings


def read_embedded(part: str, lock: Path = LOCK, search: list[str] | None = None) -> Iterator[Row]:
    """Stream the docstrings of a part as rows with the columns "text" and "label" (the library).

    `search` is a list of folders like `sys.path`, which is the default. A distribution in another version than
    the lock's is a `UserError`.
    """
    libraries, apart_from = PARTS[part]
    texts = library_texts(libraries + apart_from, lock, search)
    own = {library: texts[library] for library in libraries}
    if apart_from:
        # The corpus must be the same for every task, so that a change of task retrains nothing: it leaves out here
        # and at once whatever any document of these libraries, held out or not, could ask it to leave out later.
        own = _without(own, HeldOut(ngrams(text for library in apart_from for text in texts[library])))
    own = _balanced(_of_one_library(own)) if part.endswith("task") else _distinct(own)
    number = 0
    for library, found in own.items():
        for text in found:
            number += 1
            yield Row({"text": text, "label": library}, f"documentation of {library}", "row", number)


def library_texts(libraries: tuple[str, ...], lock: Path = LOCK, search: list[str] | None = None) -> Texts:
    """The docstrings of each library in source order, masked, each once in its library."""
    files = [source_files(found) for found in pinned(libraries, lock, search)]
    read = iter(read_all([path for paths in files for path in paths], mask))
    texts: Texts = {}
    for library, paths in zip(libraries, files, strict=True):
        found = (text for _ in paths for text in next(read))
        texts[library] = list(dict.fromkeys(text for text in found if len(text) >= CORPUS_CHARACTERS))
    return texts


def _without(texts: Texts, others: HeldOut) -> Texts:
    """Leave out what shares an n-gram with other documents."""
    return {
        library: [
            text
            for batch in grouped(found, BATCH)
            for text, touched in zip(batch, others.touched(ngrams(batch)), strict=True)
            if not touched
        ]
        for library, found in texts.items()
    }


def _distinct(texts: Texts) -> Texts:
    """Keep each text in the first library that has it."""
    seen: set[str] = set()
    kept: Texts = {}
    for library, found in texts.items():
        kept[library] = [text for text in found if text not in seen]
        seen.update(found)
    return kept


def _of_one_library(texts: Texts) -> Texts:
    """Keep what can be told: long enough, and not copied from one library of the task to another (or nearly)."""
    pool = [(library, text) for library, found in texts.items() for text in found if len(text) >= TASK_CHARACTERS]
    library = np.array([list(texts).index(name) for name, _ in pool], dtype=np.int64)
    grams = ngrams(text for _, text in pool)
    shared = _in_several(grams.hashes, library[grams.owners])
    copied = np.bincount(grams.owners[shared], minlength=len(pool))
    several = _in_several(grams.whole, library) | ((copied > 0) & (copied >= SHARE * grams.sizes()))
    kept: Texts = {name: [] for name in texts}
    for (name, text), left_out in zip(pool, several, strict=True):
        if not left_out:
            kept[name].append(text)
    return kept


def _in_several(hashes: NDArray[np.uint64], groups: NDArray[np.int64]) -> NDArray[np.bool_]:
    """True for each hash that occurs in more than one group."""
    distinct, inverse = np.unique(hashes, return_inverse=True)
    low, high = np.full(len(distinct), np.iinfo(np.int64).max), np.full(len(distinct), -1)
    np.minimum.at(low, inverse, groups)
    np.maximum.at(high, inverse, groups)
    return (low != high)[inverse]


def _balanced(texts: Texts) -> Texts:
    """As many documents of each library as the smallest has, chosen by their hash, in source order."""
    size = min(len(found) for found in texts.values())
    kept: Texts = {}
    for library, found in texts.items():
        chosen = set(sorted(found, key=lambda text: hashlib.sha256(text.encode()).digest())[:size])
        kept[library] = [text for text in found if text in chosen]
    return kept
