"""JSON: an object a line, or an array of objects."""

import json
from abc import abstractmethod
from collections.abc import Iterator, Sequence
from typing import BinaryIO

from pipeline.base.errors import UserError
from pipeline.inference.tables.base import Block, Columns, Table, free_name, short
from pipeline.text.documents import text_of
from pipeline.text.sources.files import checked_text
from pipeline.text.sources.json_array import read_objects
from pipeline.text.sources.row import Row


class Objects(Table):
    """JSON objects, in one or another layout."""

    def __init__(self, name: str, columns: Sequence[str]) -> None:
        super().__init__(name, columns)
        self.names: dict[str, str] = {}  # of the new columns, as the first block leaves them free

    def blocks(self, source: BinaryIO) -> Iterator[Block]:
        yield from self._blocks((row.values, self._text(row)) for row in self._rows(source))

    @abstractmethod
    def _rows(self, source: BinaryIO) -> Iterator[Row]:
        """Read the objects."""

    def _text(self, row: Row) -> str:
        # Objects may leave out what is null, so a row needs one of several columns.
        if not any(column in row.values for column in self.columns):
            raise self._wrong_column(self.columns[0], row.values, f"{row.unit} {row.number} ")
        return text_of(row, self.columns)

    def write(self, sink: BinaryIO, block: Block, columns: Columns) -> None:
        if not self.names:
            taken = set().union(*block.rows)
            self.names = {name: free_name(name, taken) for name in columns}
        for row, *values in zip(block.rows, *columns.values(), strict=True):
            new = {self.names[name]: short(value) for name, value in zip(columns, values, strict=True)}
            if both := row.keys() & new.keys():
                raise UserError(
                    f"{self.name}: `{min(both)}`, which holds the predictions of the rows before, is in a later row "
                    f"too ({json.dumps(row)[:40]}...); give it to the first row as well, or rename it"
                )
            line = json.dumps(row | new, ensure_ascii=False)
            # Half a surrogate pair, which JSON can hold and UTF-8 cannot, goes out as the escape that it came in as.
            self._put(sink, line.encode("utf-8", "backslashreplace"))

    @abstractmethod
    def _put(self, sink: BinaryIO, line: bytes) -> None:
        """Write one object."""


class JsonLines(Objects):
    """One JSON object a line."""

    def _rows(self, source: BinaryIO) -> Iterator[Row]:
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
            yield Row(row, self.name, "line", number)

    def _put(self, sink: BinaryIO, line: bytes) -> None:
        sink.write(line + b"\n")


class JsonArray(Objects):
    """An array of objects, alone or under the key "data" of one; written as an array alone."""

    def __init__(self, name: str, columns: Sequence[str]) -> None:
        super().__init__(name, columns)
        self.sink: BinaryIO | None = None  # where an array was begun

    def blocks(self, source: BinaryIO) -> Iterator[Block]:
        for block in super().blocks(source):
            self.bytes_read = source.tell() if source.seekable() else 0
            yield block

    def _rows(self, source: BinaryIO) -> Iterator[Row]:
        yield from read_objects(checked_text(source, self.name), self.name)

    def _put(self, sink: BinaryIO, line: bytes) -> None:
        sink.write((b"[\n" if self.sink is None else b",\n") + line)
        self.sink = sink

    def finish(self) -> None:
        if self.sink is not None:
            self.sink.write(b"\n]\n")
