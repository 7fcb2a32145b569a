"""Prepared parts: parquet files of documents, written and read piece by piece."""

from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from types import TracebackType
from typing import Self

import pyarrow
import pyarrow.parquet

from pipeline.base.errors import UserError

ROWS = 4096  # documents of a row group, at most
CHARACTERS = 8_000_000  # of a row group, about: what a reader holds at a time, packed
READ = 64  # documents that a reader turns into Python's at a time
TEXT = pyarrow.field("text", pyarrow.string())
LABEL = pyarrow.field("label", pyarrow.int32())
LABELS = pyarrow.field("label", pyarrow.list_(pyarrow.int32()))


class PreparedWriter:
    """Writes documents into one parquet file; its bytes depend on the documents alone."""

    def __init__(self, path: Path, schema: pyarrow.Schema) -> None:
        self.schema = schema
        self.file = pyarrow.parquet.ParquetWriter(path, schema, compression="zstd")
        self.rows: list[dict[str, object]] = []
        self.characters = 0

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if kind is None:
            self._flush()
            self.file.close()
            return
        with suppress(OSError, pyarrow.ArrowInvalid):  # a full disk, say: the first error tells
            self.file.close()

    def write(self, text: str, label: int | list[int] | None = None) -> None:
        """Add a document; `label` as the schema says, absent in a corpus."""
        self.rows.append({"text": text, "label": label})
        self.characters += len(text)
        if len(self.rows) == ROWS or self.characters >= CHARACTERS:
            self._flush()

    def _flush(self) -> None:
        if self.rows:
            self.file.write_table(pyarrow.Table.from_pylist(self.rows, schema=self.schema))
        self.rows, self.characters = [], 0


def corpus_schema() -> pyarrow.Schema:
    """Columns of an unlabelled part."""
    return pyarrow.schema([TEXT])


def task_schema(multilabel: bool) -> pyarrow.Schema:
    """Columns of a labelled part: the label is a place in labels.json, or a sorted list of them."""
    return pyarrow.schema([TEXT, LABELS if multilabel else LABEL])


def read_texts(path: Path) -> Iterator[str]:
    """Stream the texts of a prepared part; one row group is in memory at a time, packed."""
    for batch in _batches(path, "text"):
        yield from batch.to_pylist()


def read_labels(path: Path) -> list[int] | list[list[int]]:
    """The labels of a prepared task part, in row order."""
    return [label for batch in _batches(path, "label") for label in batch.to_pylist()]


def count(path: Path) -> int:
    """Documents in a prepared part."""
    return int(_open(path).metadata.num_rows)


def _batches(path: Path, column: str) -> Iterator[pyarrow.Array]:
    file = _open(path)
    if column not in file.schema_arrow.names:
        raise _damaged(path, f"no column `{column}`")
    try:
        for group in range(file.num_row_groups):  # one at a time: pyarrow would read ahead through the whole file
            for batch in file.iter_batches(READ, row_groups=[group], columns=[column], use_threads=False):
                yield batch.column(0)
    except (OSError, pyarrow.ArrowInvalid) as error:  # past the end of the file, where its pages are looked at
        raise _damaged(path, error) from error


def _open(path: Path) -> pyarrow.parquet.ParquetFile:
    try:
        return pyarrow.parquet.ParquetFile(path)
    except FileNotFoundError as error:
        raise UserError(f"{path}: no such file; run `dvc repro`, which prepares it") from error
    except pyarrow.ArrowInvalid as error:
        raise _damaged(path, error) from error


def _damaged(path: Path, how: object) -> UserError:
    told = " ".join(str(how).split())  # pyarrow says some things in several lines
    return UserError(f"{path}: is damaged ({told}); delete it and run `dvc repro` again")
