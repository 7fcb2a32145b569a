"""The table of an input, by its format."""

from collections.abc import Sequence
from typing import Literal

from pipeline.inference.tables.base import Table
from pipeline.inference.tables.delimited import Separated
from pipeline.inference.tables.formats import Format
from pipeline.inference.tables.lines import Folder, Lines
from pipeline.inference.tables.objects import JsonArray, JsonLines


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
