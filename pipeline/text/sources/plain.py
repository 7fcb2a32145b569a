"""Plain text: one document a line, a block between blank lines, or a file."""

from collections.abc import Iterator
from pathlib import Path
from typing import Literal

from pipeline.base.errors import UserError
from pipeline.text.sources.files import open_text
from pipeline.text.sources.row import Row


def read_plain(path: Path, documents: Literal["line", "paragraph", "file", "article"]) -> Iterator[Row]:
    """Stream the documents of a text file as rows with the one column "text".

    For "article" rows are lines, which `join_articles` puts together. Blank lines separate paragraphs; as
    lines they are rows too, dropped and counted later on.
    """
    with open_text(path) as text:
        if documents == "file":
            yield Row({"text": text.read()}, str(path), "line", 1)
            return
        empty = True
        block: list[str] = []
        start = number = 1
        for number, line in enumerate(text, start=1):
            empty = False
            if documents != "paragraph":
                yield Row({"text": line}, str(path), "line", number)
            elif line.strip():
                start = start if block else number
                block.append(line)
            elif block:
                yield Row({"text": "".join(block)}, str(path), "line", start)
                block = []
        if block:
            yield Row({"text": "".join(block)}, str(path), "line", start)
    if empty:
        raise UserError(f"{path}: is empty; it needs text")
