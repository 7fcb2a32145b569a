"""jsonl files: one JSON object a line."""

import json
from collections.abc import Iterator
from pathlib import Path

from pipeline.base.errors import UserError
from pipeline.text.sources.files import open_text
from pipeline.text.sources.row import Row


def read_json_lines(path: Path) -> Iterator[Row]:
    """Stream the objects of a jsonl file; blank lines are skipped."""
    empty = True
    with open_text(path) as text:
        for number, line in enumerate(text, start=1):
            if not line.strip():
                continue
            try:
                value = json.loads(line)
            except json.JSONDecodeError as error:
                raise UserError(
                    f"{path}: line {number}: is not JSON at column {error.colno} ({error.msg}); mend or remove the line"
                ) from error
            except (ValueError, RecursionError) as error:  # a number of thousands of digits, thousands of brackets
                raise UserError(f"{path}: line {number}: cannot be read ({error}); mend or remove the line") from error
            if not isinstance(value, dict):
                raise UserError(f'{path}: line {number}: is not a JSON object; write {{"text": ..., "label": ...}}')
            empty = False
            yield Row(value, str(path), "line", number)
    if empty:
        raise UserError(f"{path}: is empty; it needs one JSON object a line")
