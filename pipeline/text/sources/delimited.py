"""csv and tsv files with a header line."""

import csv
import sys
from collections import Counter
from collections.abc import Iterable, Iterator
from contextlib import suppress
from itertools import tee
from pathlib import Path

from pipeline.base.errors import UserError
from pipeline.text.sources.files import open_text
from pipeline.text.sources.row import Row


def delimiter_of(lines: Iterable[str], usual: str) -> tuple[str, Iterator[str]]:
    """What stands between the fields of a file, and its lines from the first.

    The usual one, but for a csv whose header has no comma between its names and a semicolon instead: what Excel writes
    where the comma is the decimal point.
    """
    by_commas, by_semicolons, lines = tee(lines, 3)
    if usual == ",":
        with suppress(csv.Error):  # which whoever reads the lines meets again
            one = len(next(csv.reader(by_commas), [])) == 1
            if one and len(next(csv.reader(by_semicolons, delimiter=";"), [])) > 1:
                return ";", lines
    return usual, lines


def read_delimited(path: Path, usual: str) -> Iterator[Row]:
    """Stream the rows of a csv ("," or ";", quoted by `"`) or tsv file; fields may be long and hold line ends."""
    csv.field_size_limit(sys.maxsize)
    with open_text(path) as text:
        delimiter, from_first = delimiter_of(text, usual)
        lines = csv.reader(from_first, delimiter=delimiter, strict=True)
        try:
            header = next(lines, None)
            if header is None:
                raise UserError(f"{path}: is empty; it needs a header line and rows")
            twice = {name for name, count in Counter(header).items() if count > 1}
            if twice:
                raise UserError(f'{path}: line 1: column "{min(twice)}" stands twice in the header; rename one')
            rows = 0
            for fields in lines:
                if not fields:
                    continue
                if len(fields) != len(header):
                    raise UserError(
                        f"{path}: line {lines.line_num}: has {len(fields)} fields and the header has {len(header)}; "
                        f"put a text that holds {delimiter!r} in double quotes"
                    )
                rows += 1
                yield Row(dict(zip(header, fields, strict=True)), str(path), "line", lines.line_num)
        except csv.Error as error:
            raise UserError(f"{path}: line {lines.line_num}: {error}; check the quotes around this field") from error
        if rows == 0:
            raise UserError(f"{path}: has a header and no rows; add rows below it")
