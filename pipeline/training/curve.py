"""The learning curve of a stage: rows by step, kept in the resume state, written as CSV for `dvc plots`."""

import csv
import io
from pathlib import Path

from pipeline.base.files import write_text

Row = dict[str, float | int | str]


def write_curve(path: Path, rows: list[Row], columns: tuple[str, ...]) -> None:
    """Write the rows as CSV; a value that was not measured at a step is left empty."""
    text = io.StringIO()
    writer = csv.DictWriter(text, columns, restval="", lineterminator="\n")
    writer.writeheader()
    for row in rows:
        writer.writerow({key: f"{value:.6g}" if isinstance(value, float) else value for key, value in row.items()})
    write_text(path, text.getvalue())
