"""The formats that an input may have, and how its name tells which."""

from pathlib import Path
from typing import Literal, get_args

from pipeline.base.errors import UserError
from pipeline.base.files import endings

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
