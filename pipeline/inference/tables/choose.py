"""Which format an input has."""

from collections.abc import Sequence
from pathlib import Path
from typing import Literal, get_args

from pipeline.base.errors import UserError
from pipeline.base.files import endings
from pipeline.inference.tables.base import Table
from pipeline.inference.tables.delimited import Separated
from pipeline.inference.tables.lines import Folder, Lines
from pipeline.inference.tables.objects import JsonArray, JsonLines

Format = Literal["lines", "csv", "tsv", "json", "jsonl", "parquet"]
CHOICES: tuple[Format, ...] = get_args(Format)
FORMATS: dict[str, Format] = {
    ".txt": "lines",
    ".text": "lines",
    "": "lines",
    ".csv": "csv",
    ".tsv": "tsv",
    ".json": "json",
    ".jsonl": "jsonl",
    ".ndjson": "jsonl",
    ".parquet": "parquet",
}


def format_of(name: str) -> Format | Literal["folder"]:
    """What a file's ending says (behind that of its compression), or that it is a folder."""
    if Path(name).is_dir():
        return "folder"
    ending, _ = endings(name)
    if ending not in FORMATS:
        raise UserError(f"{name}: its ending does not tell its format; add --format {' or '.join(CHOICES)}")
    return FORMATS[ending]


def table(name: str, columns: Sequence[str], form: Format | Literal["folder"]) -> Table:
    """The table of an input; `columns`: those whose texts make a document."""
    match form:
        case "csv" | "tsv":
            return Separated(name, columns, "," if form == "csv" else "\t")
        case "json":
            return JsonArray(name, columns)
        case "jsonl":
            return JsonLines(name, columns)
        case "parquet":
            from pipeline.inference.tables.parquet import Parquet  # with pyarrow, which is slow to import

            return Parquet(name, columns)
    return Folder(name, columns) if form == "folder" else Lines(name, columns)
