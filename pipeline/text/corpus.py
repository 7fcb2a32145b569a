"""Preparing an unlabelled corpus: cleaned, without held-out documents, cut in two by the hash of each text; streamed.

Documents pass through a temporary parquet file; memory holds a key and a length of each, 12 bytes.
"""

from array import array
from collections import Counter
from collections.abc import Iterable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from pipeline.base.errors import UserError
from pipeline.base.files import write_json
from pipeline.base.progress import track
from pipeline.config.dataset import DatasetConfig, Part
from pipeline.text.audit import lengths
from pipeline.text.documents import Document, Tally, listed, read_documents
from pipeline.text.groups import ahead, grouped
from pipeline.text.overlap import BATCH, HeldOut, NGrams, ngrams
from pipeline.text.prepared import PreparedWriter, corpus_schema, read_texts
from pipeline.text.sources.read import Source
from pipeline.text.splits import key, refuse_all, size_of

Keys = NDArray[np.uint64]
PARTS: tuple[Part, ...] = ("train", "validation")
VALIDATION = 0.02  # of the text of a labelled set that sets no documents apart for its classifier


@dataclass(frozen=True)
class Task:
    """What a corpus must know of the task: the documents, by part, whose near-duplicates it leaves out."""

    held_out: dict[str, HeldOut]
    spaced: bool


def prepare_corpus(config: DatasetConfig, source: Source, out: Path, task: Task, where: str) -> None:
    """Write {train,validation}.parquet and audit.json into the folder `out`.

    `where`: the config file, for messages. `path: none` makes empty parts. A test part stays closed, and so does
    the validation part of a labelled set, which is the task's: validation is then cut from train.
    """
    given = [part for part in source.parts if part == "train" or (part == "validation" and config.label is None)]
    rows, removed = {}, {}
    spool = out / "spool.parquet"
    with ExitStack() as stack:
        written = {part: stack.enter_context(_Written(out / f"{part}.parquet")) for part in PARTS}
        for part in given:
            tally, repeats = Tally(), Counter(dict.fromkeys(task.held_out, 0))
            documents = read_documents(source.text_rows(part), config, tally, labelled=False)
            keys = _spool(_apart(documents, task, repeats), spool, config.seed)
            rows[part], removed[part] = tally.audit(), dict(repeats)
            if not len(keys):
                why = listed({**tally.dropped, "repeating held-out documents of the task": repeats.total()})
                raise UserError(f"{where}: {part} keeps none of its {tally.read} rows ({why}); choose other text")
            kept = np.sort(keys)[: config.max_documents]
            border = _border(kept, config, where) if part == "train" and "validation" not in given else 0
            homes = _homes(keys, part, border, int(kept[-1]))
            for text, number, home in zip(read_texts(spool), keys, homes, strict=True):
                if home is not None:
                    written[home].add(text, number)
            spool.unlink()
    parts = {part: one.audit() for part, one in written.items()}
    write_json(out / "audit.json", {"rows": rows, "held_out_removed": removed, "parts": parts})


class _Written:
    """A part being written, with the numbers of its audit."""

    def __init__(self, path: Path) -> None:
        self.file = PreparedWriter(path, corpus_schema())
        self.keys, self.characters = array("Q"), array("I")

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.file.__exit__(kind, error, trace)

    def add(self, text: str, number: int) -> None:
        self.file.write(text)
        self.keys.append(number)
        self.characters.append(len(text))

    def audit(self) -> dict[str, Any]:
        distinct = len(np.unique(np.asarray(self.keys)))
        return {
            "documents": len(self.keys),
            "characters": lengths(self.characters),
            "exact_duplicates": len(self.keys) - distinct,
        }


def _apart(documents: Iterable[Document], task: Task, repeats: Counter[str]) -> Iterator[str]:
    """The texts that repeat no held-out document; those that do are counted for the first part they repeat."""
    texts = (document.text for document in documents)
    if not task.held_out:
        yield from texts
        return

    def work(batch: list[str]) -> tuple[list[str], NGrams]:
        return batch, ngrams(batch, spaced=task.spaced)

    for batch, grams in ahead(work, grouped(texts, BATCH)):
        keep = np.ones(len(batch), dtype=np.bool_)
        for part, held_out in task.held_out.items():
            found = held_out.near_duplicates(grams) & keep
            repeats[part] += int(found.sum())
            keep &= ~found
        yield from (text for text, kept in zip(batch, keep, strict=True) if kept)


def _spool(texts: Iterable[str], path: Path, seed: int) -> Keys:
    """Write texts to a temporary file; returns their keys, which decide where each goes."""
    keys = array("Q")
    with PreparedWriter(path, corpus_schema()) as file:
        for text in track(texts, "documents", unit="documents"):
            file.write(text)
            keys.append(key(text, seed))
    return np.asarray(keys, dtype=np.uint64)


def _border(order: Keys, config: DatasetConfig, where: str) -> int:
    """The key below which documents of a corpus that is cut validate, of the sorted keys. Some are left to train on.

    Copies of a text have one key; those at the border go to train together.
    """
    # 0 of a labelled set is about its labels.
    share = config.validation or (VALIDATION if config.label is not None else 0)
    size = size_of(share, len(order))
    if isinstance(share, int) and len(order) > 1:
        try:
            refuse_all(size, len(order))
        except UserError as error:
            raise UserError(f"{where}: {error}") from error
    return int(order[min(size, len(order) - 1)])


def _homes(keys: Keys, part: Part, border: int, last: int) -> Iterator[Part | None]:
    """The part each document goes to, by its key: validation before `border`, none behind `last`."""
    for number in keys:
        yield None if number > last else "validation" if number < border else part
