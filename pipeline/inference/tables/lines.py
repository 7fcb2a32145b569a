"""Lines of text, and folders of files: one document each, with nothing beside it."""

from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import BinaryIO

from pipeline.base.errors import UserError
from pipeline.inference.tables.base import Block, Columns, Table, plain
from pipeline.text.sources.files import open_text


class Lines(Table):
    """One document a line; written as `label<TAB>probability<TAB>text`, with `name=value` before the text for more."""

    lists = False

    def blocks(self, source: BinaryIO) -> Iterator[Block]:
        lines = (line.removesuffix("\n").removesuffix("\r") for line in self._lines(source))
        yield from self._blocks((line, line) for line in lines)

    def require_fields(self, labels: Iterable[str]) -> None:
        if wrong := [label for label in labels if any(mark in label for mark in "\t\n\r")]:
            raise UserError(
                f"{self.name}: label {wrong[0]!r} holds a tab or a line break, which stand between fields "
                "and rows in lines; give the texts as csv or jsonl, which have quotes"
            )

    def write(self, sink: BinaryIO, block: Block, columns: Columns) -> None:
        for row, *values in zip(block.rows, *columns.values(), strict=True):
            words = [plain(value) for value in values]
            named = [f"{name}={word}" for name, word in zip(list(columns)[2:], words[2:], strict=True)]
            sink.write(("\t".join([*words[:2], *named, row]) + "\n").encode("utf-8"))


class Folder(Lines):
    """One document a file, in whatever sub-folder; written as lines are, with the file's name in the text's place."""

    def blocks(self, source: BinaryIO) -> Iterator[Block]:
        folder = Path(self.name)
        found = sorted(file.relative_to(folder) for file in folder.rglob("*") if file.is_file())
        names = [name for name in found if not any(part.startswith(".") for part in name.parts)]
        yield from self._blocks((name.as_posix(), _whole(folder / name)) for name in names)


def _whole(file: Path) -> str:
    with open_text(file) as text:
        return text.read()
