"""From the rows of a source to documents: text and labels taken from their columns, cleaned, counted."""

from array import array
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import groupby, islice
from typing import Any, NamedTuple

from pipeline.base.errors import UserError, suggest
from pipeline.config.dataset import DatasetConfig
from pipeline.text.sources.row import Row

BETWEEN_COLUMNS = "\n\n"
LONGEST_NUMBER = 18  # characters of a label; what is longer is a name, and Python reads no number of thousands
LOOK_AT = 1000  # rows of a file, one of which at least must have a column


class Document(NamedTuple):
    """A cleaned text and its labels: one, several (sorted) for multi-label sets, none where they are not read."""

    text: str
    labels: tuple[str, ...] = ()


class Tally:
    """What became of a part's rows."""

    def __init__(self) -> None:
        self.read = 0
        self.dropped: Counter[str] = Counter()  # by reason
        self.cut = 0  # documents longer than max_characters
        self.characters = array("I")  # of each document kept

    def audit(self) -> dict[str, Any]:
        """The part's lines in audit.json."""
        return {
            "rows_read": self.read,
            "documents_kept": len(self.characters),
            "dropped": dict(self.dropped),
            "cut_to_max_characters": self.cut,
        }


def read_documents(rows: Iterable[Row], config: DatasetConfig, tally: Tally, *, labelled: bool) -> Iterator[Document]:
    """Stream the documents of rows and count them in `tally`.

    Rows whose text is null or blank are dropped, and so are rows without a label where `labelled`. A column
    that none of a file's first rows has is a `UserError`; a value that is missing in a row (jsonl) is null.
    """
    columns = config.text_columns
    labels: tuple[str, ...] = ()
    if labelled:
        labels = (config.label,) if isinstance(config.label, str) else config.label or ()
    for row in _with_columns(rows, columns + labels):
        tally.read += 1
        text = clean(text_of(row, columns))
        if not text:
            tally.dropped["blank text"] += 1
            continue
        found = _labels(row, config) if labelled else ()
        if found is None:
            tally.dropped["no label"] += 1
            continue
        if len(text) > config.max_characters:
            tally.cut += 1
            text = shortened(text, config.max_characters)
        tally.characters.append(len(text))
        yield Document(text, found)


def text_of(row: Row, columns: Iterable[str]) -> str:
    """The text of a row, not yet cleaned: those of its columns that hold something, joined by a blank line."""
    return BETWEEN_COLUMNS.join(filter(None, (_as_text(row, column) for column in columns)))


def listed(reasons: Mapping[str, int]) -> str:
    """Why documents were left out, for messages.

    >>> listed({"blank text": 3, "no label": 0})
    'blank text: 3'
    """
    return ", ".join(f"{reason}: {count}" for reason, count in reasons.items() if count)


def clean(text: str) -> str:
    """Unix line ends, no blank edges, and no halves of surrogate pairs (which UTF-8 cannot hold).

    >>> clean("  one\\r\\ntwo\\r")
    'one\\ntwo'
    """
    text = text.replace("\r\n", "\n").replace("\r", "\n").strip()
    return text if text.isascii() else text.encode("utf-16-le", "surrogatepass").decode("utf-16-le", "replace")


def shortened(text: str, most: int | None) -> str:
    """No more than the first so many characters of a cleaned text.

    >>> shortened("one two", 4), shortened("one two", None)
    ('one', 'one two')
    """
    return text if most is None or len(text) <= most else text[:most].rstrip()


def is_null(value: Any) -> bool:
    """Whether there is no value: null, or NaN, which is how NumPy and pandas write it.

    >>> is_null(None), is_null(float("nan")), is_null("nan"), is_null(0.0)
    (True, True, False, False)
    """
    return value is None or (isinstance(value, float) and value != value)


def _with_columns(rows: Iterable[Row], columns: Sequence[str]) -> Iterator[Row]:
    """The rows of files that have the columns. Objects of json may leave out what is null, so many rows are asked."""
    for file, of_file in groupby(rows, key=lambda row: row.file):
        first: list[Row] = []
        missing = list(columns)
        for row in islice(of_file, LOOK_AT):
            first.append(row)
            missing = [column for column in missing if column not in row.values]
            if not missing:
                break
        if missing:
            known = {str(name) for row in first for name in row.values}
            raise UserError(f'{file}: no column "{missing[0]}"; {suggest(missing[0], known)}')
        yield from first
        yield from of_file


def _as_text(row: Row, column: str) -> str | None:
    value = row.values.get(column)
    if isinstance(value, list | dict | bytes):
        raise UserError(f'{row.where}: column "{column}" holds a {type(value).__name__}, not text; name another column')
    return None if is_null(value) else str(value)


def _labels(row: Row, config: DatasetConfig) -> tuple[str, ...] | None:
    """The labels of a row; None where it has none."""
    if isinstance(config.label, tuple):
        return tuple(column for column in config.label if _is_set(row, column))
    assert config.label is not None  # asked of tasks before any row is read
    value = row.values.get(config.label)
    if isinstance(value, dict | bytes):
        kind = type(value).__name__
        raise UserError(f'{row.where}: column "{config.label}" holds a {kind}, not a label; name another column')
    if config.label_separator is not None:
        parts = value if isinstance(value, list) else str("" if is_null(value) else value).split(config.label_separator)
        return tuple(sorted({name for name in (_name(part, row, config) for part in parts) if name})) or None
    if isinstance(value, list):
        raise UserError(
            f'{row.where}: column "{config.label}" holds a list; for several labels a document, lists as well: '
            f"`--separator ','` of `ulmfit new-task`, `label_separator: ','` of a config"
        )
    name = _name(value, row, config)
    return (name,) if name else None


def _name(value: Any, row: Row, config: DatasetConfig) -> str:
    """A label as a word; a number is looked up in `label_names` where the config has them."""
    if is_null(value):
        return ""
    name = clean(str(value))
    if config.label_names is None or not name:
        return name
    if not name.isdecimal() or len(name) > LONGEST_NUMBER or int(name) >= len(config.label_names):
        last = len(config.label_names) - 1
        raise UserError(f'{row.where}: label "{name}" is not a number from 0 to {last}, the places in `label_names`')
    return config.label_names[int(name)]


def _is_set(row: Row, column: str) -> bool:
    value = row.values.get(column)
    if str(value).strip().lower() in ("1", "1.0", "true"):
        return True
    if str(value).strip().lower() in ("0", "0.0", "false"):
        return False
    raise UserError(f'{row.where}: column "{column}" holds "{value}"; a list of label columns needs 0 or 1 in each')
