"""Texts in, the same rows with predictions out: lines, csv, tsv, jsonl and parquet, block by block.

A block grows from a few rows to a thousand, so that the first predictions come at once and later ones in batches that
fill the processor; a file of any size passes through in the memory of one block.
"""

import codecs
import csv
import io
import json
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

    binary = False  # whether what it writes is for no terminal

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
        sizes, characters = block_sizes(), 0
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

    def _wrong_column(self, known: Iterable[str], where: str = "") -> UserError:
        return UserError(
            f"{self.name}: {where}has no column `{self.column}`; {suggest(self.column, known)}; use --text COLUMN"
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
            if self.header.count(self.column) > 1:
                raise UserError(f"{self.name}: line 1: column `{self.column}` stands twice in the header; rename one")
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
        if not self.header_written:
            header = self.header or []
            sink.write(self._line([*header, *(free_name(name, header) for name in columns)]))
            self.header_written = True
        for row, *values in zip(block.rows, *columns.values(), strict=True):
            sink.write(self._line([*row, *map(_plain, values)]))

    def _line(self, fields: list[str]) -> bytes:
        line = io.StringIO()
        # Python quotes a field that holds a character of the line's end: a lone carriage return is one to most readers.
        csv.writer(line, delimiter=self.delimiter, lineterminator="\r\n").writerow(fields)
        return (line.getvalue().removesuffix("\r\n") + "\n").encode("utf-8")


class JsonLines(Table):
    """One JSON object a line."""

    def __init__(self, name: str, column: str) -> None:
        super().__init__(name, column)
        self.names: dict[str, str] = {}  # of the new columns, as the first block leaves them free

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
            except (ValueError, RecursionError) as error:  # a number of thousands of digits, thousands of brackets
                raise UserError(f"{self.name}: line {number} cannot be read ({error})") from error
            if not isinstance(row, dict):
                raise UserError(f"{self.name}: line {number} is not an object ({{...}})")
            if self.column not in row:
                raise self._wrong_column(row, f"line {number} ")
            text = row[self.column]
            if not isinstance(text, str | None):
                raise UserError(f"{self.name}: line {number}: `{self.column}` is {json.dumps(text)[:40]}, not a text")
            yield row, text or ""

    def write(self, sink: BinaryIO, block: Block, columns: Columns) -> None:
        if not self.names:
            taken = set().union(*block.rows)
            self.names = {name: free_name(name, taken) for name in columns}
        for row, *values in zip(block.rows, *columns.values(), strict=True):
            new = {self.names[name]: _short(value) for name, value in zip(columns, values, strict=True)}
            if both := row.keys() & new.keys():
                raise UserError(
                    f"{self.name}: `{min(both)}`, which holds the predictions of the rows before, is in a later row "
                    f"too ({json.dumps(row)[:40]}...); give it to the first row as well, or rename it"
                )
            line = json.dumps(row | new, ensure_ascii=False)
            # Half a surrogate pair, which JSON can hold and UTF-8 cannot, goes out as the escape that it came in as.
            sink.write(line.encode("utf-8", "backslashreplace") + b"\n")


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
    if form == "parquet":
        from pipeline.inference.parquet import Parquet  # late: pyarrow is slow to import

        return Parquet(name, column)
    return Lines(name, column)


def block_sizes() -> Iterator[int]:
    """Most rows of one block after another."""
    size = FIRST_ROWS
    while True:
        yield size
        size = min(MOST_ROWS, 2 * size)


def free_name(name: str, taken: Container[str]) -> str:
    """The name of a new column, beside those that the input has."""
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
