"""The columns of a file, and a guess which of them hold the text and the label."""

import shlex
from collections import Counter
from itertools import islice
from pathlib import Path
from typing import NamedTuple

from pipeline.base.errors import UserError
from pipeline.config.dataset import DatasetConfig
from pipeline.config.read import parse
from pipeline.text.documents import clean, is_null
from pipeline.text.sources.read import Source

LOOK_AT = 1000  # rows
MOST_LABELS = 100
EXAMPLE = 48  # characters


class Column(NamedTuple):
    """What the first rows say about a column."""

    name: str
    filled: int
    distinct: int
    characters: float  # mean length of a value
    example: str
    kind: type = str  # list, dict or bytes where a value is one


def propose_columns(file: Path, kind: str) -> None:
    """Print the columns of a file; raises `UserError` with the command that the likeliest of them make."""
    columns = describe_columns(file, kind)
    width = max(len(column.name) for column in columns)
    print(f"{file}: its columns, by the first {LOOK_AT} rows at most")
    print(f"  {'column':<{width}}  filled  distinct  characters  example")
    for column in columns:
        row = f"{column.filled:>6}  {column.distinct:>8}  {column.characters:>10.0f}  {column.example}"
        print(f"  {column.name:<{width}}  {row}")
    text, label = guess(columns)
    kinds = {column.name: column.kind for column in columns}
    several = ["--separator", ","] if kinds.get(label) is list else []
    command = shlex.join(["ulmfit", "new-task", str(file), "--text", text, "--label", label, *several])
    raise UserError(f"{file}: name its columns with --text and --label, for instance: {command}")


def describe_columns(file: Path, kind: str) -> list[Column]:
    """Look at the first rows of a file."""
    config = parse(DatasetConfig, {"path": kind, "data_files": {"train": file.name}}, str(file))
    values: dict[str, list[str]] = {}
    kinds: dict[str, type] = {}
    for row in islice(Source(config, file.parent, {"train": file}).rows("train"), LOOK_AT):
        for name, value in row.values.items():
            values.setdefault(str(name), []).append("" if is_null(value) else clean(str(value)))
            if isinstance(value, list | dict | bytes):
                kinds[str(name)] = type(value)
    if not values:
        raise UserError(f"{file}: its rows hold no columns")
    return [_column(name, found, kinds.get(name, str)) for name, found in values.items()]


def guess(columns: list[Column]) -> tuple[str, str]:
    """The longest column as text; as label the shortest of those with few distinct values. COLUMN where none will do.

    A text is no list, dict or bytes; a label may be a list, which is several labels.
    """
    text = max((one for one in columns if one.kind is str), key=lambda column: column.characters, default=None)
    few = [
        column
        for column in columns
        if column is not text
        and column.kind in (str, list)
        and 2 <= column.distinct <= min(MOST_LABELS, max(2, column.filled // 2))
    ]
    label = min(few, key=lambda column: (column.distinct, column.characters), default=None)
    return text.name if text else "COLUMN", label.name if label else "COLUMN"


def _column(name: str, values: list[str], kind: type) -> Column:
    filled = [value for value in values if value.strip()]
    example = " ".join((filled or [""])[0].split())
    return Column(
        name,
        filled=len(filled),
        distinct=len(Counter(filled)),
        characters=sum(map(len, filled)) / max(1, len(filled)),
        example=example if len(example) <= EXAMPLE else example[: EXAMPLE - 3] + "...",
        kind=kind,
    )
