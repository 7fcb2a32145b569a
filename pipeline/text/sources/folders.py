"""A folder of files per class: the sub-folder is the label, each file is a document."""

from collections.abc import Iterator
from pathlib import Path

from pipeline.base.errors import UserError
from pipeline.text.sources.plain import read_plain
from pipeline.text.sources.row import Row


def read_folder(path: Path) -> Iterator[Row]:
    """Stream `path/LABEL/.../FILE` as rows with the columns "text" and "label", in the order of their names."""
    if not path.is_dir():
        raise UserError(f"{path}: is not a folder; `path: folder` reads FOLDER/LABEL/FILE")
    classes = sorted(entry for entry in path.iterdir() if entry.is_dir() and not entry.name.startswith("."))
    if not classes:
        raise UserError(f"{path}: has no sub-folders; put the files of each class in a sub-folder named after it")
    for label in classes:
        files = (file for file in label.rglob("*") if file.is_file() and not file.name.startswith("."))
        for file in sorted(files, key=lambda file: file.relative_to(label).as_posix()):
            for row in read_plain(file, "file"):
                yield row._replace(values={**row.values, "label": label.name})
