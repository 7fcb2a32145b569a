"""Articles of WikiText: their lines come as rows, a line ` = Title = ` begins the next one."""

import re
from collections.abc import Iterable, Iterator

from pipeline.text.documents import text_of
from pipeline.text.sources.row import Row

TITLE = re.compile(r"\s*= [^=](.*[^=])? =\s*")  # one "=" on either side; sections have two and more


def join_articles(rows: Iterable[Row], column: str) -> Iterator[Row]:
    """Join rows that are lines into rows that are articles; the place is that of the article's first line.

    A file ends its last article. Rows without the column pass as they are, for whoever misses it to say so.
    """
    first: Row | None = None
    lines: list[str] = []
    for row in rows:
        line = text_of(row, (column,))
        begins = first is None or row.file != first.file or TITLE.fullmatch(line)
        if first is not None and begins:
            yield _article(first, column, lines)
            first = None
        if column not in row.values:
            yield row
            continue
        if first is None:
            first, lines = row, []
        lines.append(line if line.endswith("\n") else line + "\n")
    if first is not None:
        yield _article(first, column, lines)


def _article(first: Row, column: str, lines: list[str]) -> Row:
    return first._replace(values={**first.values, column: "".join(lines)})
