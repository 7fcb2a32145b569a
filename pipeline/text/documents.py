"""From the rows of a source to documents: text and labels taken from their columns, cleaned, counted."""

from array import array
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from typing import Any, NamedTuple

from pipeline.base.errors import UserError, suggest
from pipeline.config.dataset import DatasetConfig
from pipeline.text.sources.row import Row

BETWEEN_COLUMNS = "\n\n"


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
    that the first row of a file lacks is a `UserError`; later on (jsonl) a missing value is null.
    """
    columns = (config.text,) if isinstance(config.text, str) else config.text
    labels: tuple[str, ...] = ()
    if labelled:
        labels = (config.label,) if isinstance(config.label, str) else config.label or ()
    file = None
    for row in rows:
        if row.file != file:
            file = row.file
            _check_columns(row, columns + labels)
        tally.read += 1
        text = clean(BETWEEN_COLUMNS.join(filter(None, (_as_text(row, column) for column in columns))))
        if not text:
            tally.dropped["blank text"] += 1
            continue
        found = _labels(row, config) if labelled else ()
        if found is None:
            tally.dropped["no label"] += 1
            continue
        if len(text) > config.max_characters:
            tally.cut += 1
            text = text[: config.max_characters].rstrip()
        tally.characters.append(len(text))
        yield Document(text, found)


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


def _check_columns(row: Row, columns: Iterable[str]) -> None:
    for column in columns:
        if column not in row.values:
            raise UserError(f'{row.file}: no column "{column}"; {suggest(column, map(str, row.values))}')


def _as_text(row: Row, column: str) -> str | None:
    value = row.values.get(column)
    if isinstance(value, list | dict | bytes):
        raise UserError(f'{row.where}: column "{column}" holds a {type(value).__name__}, not text; name another column')
    return None if value is None else str(value)


def _labels(row: Row, config: DatasetConfig) -> tuple[str, ...] | None:
    """The labels of a row; None where it has none."""
    if isinstance(config.label, tuple):
        return tuple(column for column in config.label if _is_set(row, column))
    assert config.label is not None  # asked of tasks before any row is read
    value = row.values.get(config.label)
    if config.label_separator is not None:
        parts = value if isinstance(value, list) else str("" if value is None else value).split(config.label_separator)
        return tuple(sorted({name for name in (_name(part, row, config) for part in parts) if name})) or None
    if isinstance(value, list | dict | bytes):
        raise UserError(
            f'{row.where}: column "{config.label}" holds a {type(value).__name__}; for several labels a document set '
            f'`label_separator: ","`, which reads lists as well'
        )
    name = _name(value, row, config)
    return (name,) if name else None


def _name(value: Any, row: Row, config: DatasetConfig) -> str:
    """A label as a word; a number is looked up in `label_names` where the config has them."""
    if value is None:
        return ""
    name = clean(str(value))
    if config.label_names is None or not name:
        return name
    if not name.isdecimal() or int(name) >= len(config.label_names):
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
