"""What every format has in common: its rows come in blocks, and go out with new columns.

A block grows from a few rows to a thousand, so that the first predictions come at once and later ones in batches that
fill the processor; a file of any size passes through in the memory of one block.
"""

import codecs
from abc import ABC, abstractmethod
from collections.abc import Container, Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, BinaryIO

from pipeline.base.errors import UserError, suggest

FIRST_ROWS, MOST_ROWS = 16, 1024  # of a block
MOST_CHARACTERS = 4_000_000  # of a block's texts, unless one text alone is longer
SEPARATOR = ";"  # between several labels of a document, in formats that have no lists


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
    lists = True  # whether it has lists; without them several values of a document stand in one field

    def __init__(self, name: str, columns: Sequence[str]) -> None:
        """`columns`: those whose texts make a document, in formats that have columns."""
        self.name, self.columns = name, tuple(columns)
        self.bytes_read = 0

    @abstractmethod
    def blocks(self, source: BinaryIO) -> Iterator[Block]:
        """Read the input. A mistake in it is a `UserError` that names the line."""

    @abstractmethod
    def write(self, sink: BinaryIO, block: Block, columns: Columns) -> None:
        """Write the rows of a block with new columns."""

    def require_apart(self, labels: Iterable[str]) -> None:
        """Refuse labels that nobody could tell apart where a document has several of them."""
        if not self.lists and (wrong := [label for label in labels if SEPARATOR in label]):
            raise UserError(
                f'{self.name}: label `{wrong[0]}` holds "{SEPARATOR}", which stands between several labels of a text '
                "in csv, tsv and lines; give the texts as jsonl, which has lists"
            )

    def require_fields(self, labels: Iterable[str]) -> None:  # noqa: B027 - most formats have quotes
        """Refuse labels that would not stay one field of a line."""

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

    def _require_columns(self, known: Sequence[str]) -> None:
        for column in self.columns:
            if column not in known:
                raise self._wrong_column(column, known)
            if known.count(column) > 1:
                raise UserError(f"{self.name}: column `{column}` stands twice in the header; rename one")

    def _wrong_column(self, column: str, known: Iterable[str], where: str = "") -> UserError:
        return UserError(f"{self.name}: {where}has no column `{column}`; {suggest(column, known)}; use --text COLUMN")


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


def short(value: Any) -> Any:
    """A probability with six digits; anything else as it is."""
    if isinstance(value, list):
        return [short(one) for one in value]
    return float(f"{value:.6g}") if isinstance(value, float) else value


def plain(value: Any) -> str:
    """A value as one field of a text format."""
    if isinstance(value, list):
        return SEPARATOR.join(map(plain, value))
    return f"{value:.6g}" if isinstance(value, float) else str(value)
