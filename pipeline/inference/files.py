"""Texts in, the same rows with predictions out: lines, csv, tsv, jsonl and parquet, block by block.

A block grows from a few rows to a thousand, so that the first predictions come at once and later ones in batches that
fill the processor; a file of any size passes through in the memory of one block.
"""

import codecs
import csv
import io
import json
import shutil
import tempfile
from abc import ABC, abstractmethod
from collections.abc import Container, Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO

from pipeline.base.errors import UserError, suggest

FIRST_ROWS, MOST_ROWS = 16, 1024  # of a block
MOST_CHARACTERS = 4_000_000  # of a block's texts, unless one text alone is longer
LONGEST_FIELD = 2**31 - 1  # of a csv file, in characters; Python's own limit is 131,072
SEPARATOR = ";"  # between several labels of a document, in formats that have no lists
FORMATS = {
    ".txt": "lines",
    ".text": "lines",
    "": "lines",
    ".csv": "csv",
    ".tsv": "tsv",
    ".jsonl": "jsonl",
    ".ndjson": "jsonl",
    ".parquet": "parquet",
}


@dataclass(frozen=True)
class Block:
    """Some rows of the input, as their format holds them, and the text of each."""

    rows: Any
    texts: list[str]


# New columns of a block, in the order in which they are written: `label` with texts, the others with numbers, or with
# lists of these. A name that the input has already gets `predicted_` before it.
Columns = dict[str, Sequence[Any]]


class Table(ABC):
    """One pass over an input: gives its rows in blocks, and writes them with new columns in the same format."""

    def __init__(self, name: str, column: str) -> None:
        self.name, self.column = name, column
        self.bytes_read = 0

    @abstractmethod
    def blocks(self, source: BinaryIO) -> Iterator[Block]:
        """Read the input. A mistake in it is a `UserError` that names the line."""

    @abstractmethod
    def write(self, sink: BinaryIO, block: Block, columns: Columns) -> None:
        """Write the rows of a block with new columns."""

    def finish(self) -> None:  # noqa: B027 - most formats need no closing
        """Close the output."""

    def _lines(self, source: BinaryIO) -> Iterator[str]:
        # Split at line feeds alone: the lines of a text may hold any other character that Unicode calls a line break.
        for raw in source:
            start = len(codecs.BOM_UTF8) if self.bytes_read == 0 and raw.startswith(codecs.BOM_UTF8) else 0
            try:
                yield raw[start:].decode("utf-8")
            except UnicodeDecodeError as error:
                where = self.bytes_read + start + error.start
                raise UserError(f"{self.name}: is not UTF-8 at byte {where}; convert it to UTF-8 first") from error
            self.bytes_read += len(raw)

    def _blocks(self, rows: Iterable[tuple[Any, str]]) -> Iterator[Block]:
        taken: list[Any] = []
        texts: list[str] = []
        sizes, characters = _sizes(), 0
        most = next(sizes)
        for row, text in rows:
            taken.append(row)
            texts.append(text)
            characters += len(text)
            if len(taken) >= most or characters >= MOST_CHARACTERS:
                yield Block(taken, texts)
                taken, texts, characters, most = [], [], 0, next(sizes)
        if taken:
            yield Block(taken, texts)

    def _wrong_column(self, known: Iterable[str]) -> UserError:
        return UserError(
            f"{self.name}: has no column `{self.column}`; {suggest(self.column, known)}; use --text COLUMN"
        )


class Lines(Table):
    """One document a line; written as `label<TAB>probability<TAB>text`, with `name=value` before the text for more."""

    def blocks(self, source: BinaryIO) -> Iterator[Block]:
        lines = (line.removesuffix("\n").removesuffix("\r") for line in self._lines(source))
        yield from self._blocks((line, line) for line in lines)

    def write(self, sink: BinaryIO, block: Block, columns: Columns) -> None:
        for row, *values in zip(block.rows, *columns.values(), strict=True):
            words = [_plain(value) for value in values]
            named = [f"{name}={word}" for name, word in zip(list(columns)[2:], words[2:], strict=True)]
            sink.write(("\t".join([*words[:2], *named, row]) + "\n").encode("utf-8"))


class Separated(Table):
    """A csv or tsv file with a header."""

    def __init__(self, name: str, column: str, delimiter: str) -> None:
        super().__init__(name, column)
        self.delimiter = delimiter
        self.header: list[str] | None = None
        self.header_written = False

    def blocks(self, source: BinaryIO) -> Iterator[Block]:
        yield from self._blocks(self._rows(source))

    def _rows(self, source: BinaryIO) -> Iterator[tuple[list[str], str]]:
        csv.field_size_limit(LONGEST_FIELD)
        reader = csv.reader(self._lines(source), delimiter=self.delimiter, strict=True)
        try:
            self.header = next(reader, [])
            if self.header and self.column not in self.header:
                raise self._wrong_column(self.header)
            for row in reader:
                if len(row) == len(self.header):
                    yield row, row[self.header.index(self.column)]
                elif row:  # a blank line is not a row
                    raise UserError(
                        f"{self.name}: line {reader.line_num} has {len(row)} fields where the header has "
                        f"{len(self.header)}; quote fields that hold {'tabs' if self.delimiter == '	' else 'commas'}"
                    )
        except csv.Error as error:
            raise UserError(f"{self.name}: line {reader.line_num}: {error}; check the quotes before it") from error

    def write(self, sink: BinaryIO, block: Block, columns: Columns) -> None:
        text = io.StringIO()
        writer = csv.writer(text, delimiter=self.delimiter, lineterminator="\n")
        if not self.header_written:
            header = self.header or []
            writer.writerow([*header, *(_free(name, header) for name in columns)])
            self.header_written = True
        for row, *values in zip(block.rows, *columns.values(), strict=True):
            writer.writerow([*row, *map(_plain, values)])
        sink.write(text.getvalue().encode("utf-8"))


class JsonLines(Table):
    """One JSON object a line."""

    def blocks(self, source: BinaryIO) -> Iterator[Block]:
        yield from self._blocks(self._rows(source))

    def _rows(self, source: BinaryIO) -> Iterator[tuple[dict[str, Any], str]]:
        for number, line in enumerate(self._lines(source), start=1):
            if not line.strip():
                continue
            try:
                row = json.loads(line)
            except json.JSONDecodeError as error:
                raise UserError(f"{self.name}: line {number} is not JSON ({error.msg} at {error.pos})") from error
            if not isinstance(row, dict):
                raise UserError(f"{self.name}: line {number} is not an object ({{...}})")
            if self.column not in row:
                raise self._wrong_column(row)
            text = row[self.column]
            if not isinstance(text, str | None):
                raise UserError(f"{self.name}: line {number}: `{self.column}` is {json.dumps(text)[:40]}, not a text")
            yield row, text or ""

    def write(self, sink: BinaryIO, block: Block, columns: Columns) -> None:
        for row, *values in zip(block.rows, *columns.values(), strict=True):
            new = {_free(name, row): _short(value) for name, value in zip(columns, values, strict=True)}
            line = json.dumps(row | new, ensure_ascii=False)
            # Half a surrogate pair, which JSON can hold and UTF-8 cannot, goes out as the escape that it came in as.
            sink.write(line.encode("utf-8", "backslashreplace") + b"\n")


class Parquet(Table):
    """A parquet file, read in record batches."""

    def __init__(self, name: str, column: str) -> None:
        super().__init__(name, column)
        self.writer: Any = None

    def blocks(self, source: BinaryIO) -> Iterator[Block]:
        import pyarrow as pa
        import pyarrow.parquet as pq

        if not source.seekable():  # its index stands at the end, so a stream has to be kept first
            with tempfile.TemporaryFile() as kept:
                shutil.copyfileobj(source, kept)
                yield from self.blocks(kept)
            return
        try:
            file = pq.ParquetFile(source)
            self._check_column(file.schema_arrow)
            size, done, sizes = source.seek(0, io.SEEK_END), 0, _sizes()
            for batch in file.iter_batches(batch_size=MOST_ROWS):
                start = 0
                while start < batch.num_rows:
                    rows = batch.slice(start, next(sizes))
                    start += rows.num_rows
                    done += rows.num_rows
                    self.bytes_read = size * done // file.metadata.num_rows
                    yield Block(rows, [text or "" for text in rows.column(self.column).to_pylist()])
        except (pa.ArrowInvalid, OSError) as error:
            raise UserError(f"{self.name}: is not a parquet file, or is damaged") from error

    def _check_column(self, schema: Any) -> None:
        import pyarrow as pa

        if self.column not in schema.names:
            raise self._wrong_column(schema.names)
        kind = schema.field(self.column).type
        values = kind.value_type if pa.types.is_dictionary(kind) else kind
        if not (pa.types.is_string(values) or pa.types.is_large_string(values) or pa.types.is_string_view(values)):
            raise UserError(f"{self.name}: column `{self.column}` holds {kind}, not text")

    def write(self, sink: BinaryIO, block: Block, columns: Columns) -> None:
        import pyarrow as pa
        import pyarrow.parquet as pq

        # Metadata of Hugging Face lists the columns, and would not list the new ones.
        kept = {key: value for key, value in (block.rows.schema.metadata or {}).items() if key != b"huggingface"}
        rows = block.rows.replace_schema_metadata(kept)
        for name, values in columns.items():
            kind = pa.string() if name == "label" else pa.float64()
            listed = pa.list_(kind) if isinstance(values[0], list) else kind
            rows = rows.append_column(_free(name, block.rows.schema.names), pa.array(values, listed))
        if self.writer is None:
            self.writer = pq.ParquetWriter(_Counted(sink), rows.schema, compression="zstd")
        self.writer.write_batch(rows)

    def finish(self) -> None:
        if self.writer is not None:
            self.writer.close()


class _Counted(io.RawIOBase):
    """A sink that knows how much went into it, which parquet asks for and a pipe cannot say."""

    def __init__(self, sink: BinaryIO) -> None:
        self.sink, self.position = sink, 0

    def writable(self) -> bool:
        return True

    def write(self, content: Any) -> int:
        self.sink.write(content)
        self.position += len(content)
        return len(content)

    def tell(self) -> int:
        return self.position


def table(name: str, column: str, form: str | None) -> Table:
    """The table of a file name (or "standard input"), by its ending or by `form`: lines, csv, tsv, jsonl, parquet."""
    if form is None:
        ending = Path(name).suffix.lower()
        if ending not in FORMATS:
            raise UserError(
                f"{name}: its ending does not tell its format; add --format lines, csv, tsv, jsonl or parquet"
            )
        form = FORMATS[ending]
    if form in ("csv", "tsv"):
        return Separated(name, column, "," if form == "csv" else "\t")
    if form == "jsonl":
        return JsonLines(name, column)
    return Parquet(name, column) if form == "parquet" else Lines(name, column)


def _sizes() -> Iterator[int]:
    """Rows of one block after another."""
    size = FIRST_ROWS
    while True:
        yield size
        size = min(MOST_ROWS, 2 * size)


def _free(name: str, taken: Container[str]) -> str:
    while name in taken:
        name = f"predicted_{name}"
    return name


def _short(value: Any) -> Any:
    """A probability with six digits; anything else as it is."""
    if isinstance(value, list):
        return [_short(one) for one in value]
    return float(f"{value:.6g}") if isinstance(value, float) else value


def _plain(value: Any) -> str:
    """A value as one field of a text format."""
    if isinstance(value, list):
        return SEPARATOR.join(map(_plain, value))
    return f"{value:.6g}" if isinstance(value, float) else str(value)
