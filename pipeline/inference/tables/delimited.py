"""csv and tsv files with a header."""

import csv
import io
import re
from collections.abc import Iterable, Iterator, Sequence
from typing import BinaryIO

from pipeline.base.errors import UserError
from pipeline.inference.tables.base import Block, Columns, Table, free_name, plain
from pipeline.text.documents import text_of
from pipeline.text.sources.delimited import delimiter_of
from pipeline.text.sources.row import Row

LINE = re.compile(r"[^\r\n]*(?:\r\n?|\n)|[^\r\n]+")
LONGEST_FIELD = 2**31 - 1  # in characters; Python's own limit is 131,072
CALLED = {",": "commas", ";": "semicolons", "\t": "tabs"}


class Separated(Table):
    """A csv or tsv file with a header."""

    lists = False

    def __init__(self, name: str, columns: Sequence[str], delimiter: str) -> None:
        super().__init__(name, columns)
        self.delimiter = delimiter
        self.header: list[str] | None = None
        self.header_written = False

    def blocks(self, source: BinaryIO) -> Iterator[Block]:
        yield from self._blocks(self._rows(source))

    def _rows(self, source: BinaryIO) -> Iterator[tuple[list[str], str]]:
        csv.field_size_limit(LONGEST_FIELD)
        self.delimiter, lines = delimiter_of(_split(self._lines(source)), self.delimiter)
        reader = csv.reader(lines, delimiter=self.delimiter, strict=True)
        try:
            self.header = next(reader, [])
            if self.header:
                self._require_columns(self.header)
            for row in reader:
                if len(row) == len(self.header):
                    values = Row(dict(zip(self.header, row, strict=True)), self.name, "line", reader.line_num)
                    yield row, text_of(values, self.columns)
                elif row:  # a blank line is not a row
                    raise UserError(
                        f"{self.name}: line {reader.line_num} has {len(row)} fields where the header has "
                        f"{len(self.header)}; quote fields that hold {CALLED[self.delimiter]}"
                    )
        except csv.Error as error:
            raise UserError(f"{self.name}: line {reader.line_num}: {error}; check the quotes before it") from error

    def write(self, sink: BinaryIO, block: Block, columns: Columns) -> None:
        if not self.header_written:
            header = self.header or []
            sink.write(self._line([*header, *(free_name(name, header) for name in columns)]))
            self.header_written = True
        for row, *values in zip(block.rows, *columns.values(), strict=True):
            sink.write(self._line([*row, *map(plain, values)]))

    def _line(self, fields: list[str]) -> bytes:
        line = io.StringIO()
        # Python quotes a field that holds a character of the line's end: a lone carriage return is one to most readers.
        csv.writer(line, delimiter=self.delimiter, lineterminator="\r\n").writerow(fields)
        return (line.getvalue().removesuffix("\r\n") + "\n").encode("utf-8")


def _split(lines: Iterable[str]) -> Iterator[str]:
    """End lines at a lone carriage return too: Excel's "CSV (Macintosh)" has no other end, and is one line until here.

    Within quotes it stays part of its field, as `csv.reader` puts the lines of a field together again.
    """
    for line in lines:
        if "\r" in line.removesuffix("\r\n"):
            yield from (found[0] for found in LINE.finditer(line))
        else:
            yield line
