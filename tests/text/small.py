"""Small data sets made in a folder, and the documents that preparing them leaves."""

import bz2
import gzip
import lzma
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pyarrow

from pipeline.base.files import read_json
from pipeline.config.dataset import DatasetConfig
from pipeline.config.read import parse
from pipeline.text.corpus import Task, prepare_corpus
from pipeline.text.prepared import read_labels, read_texts
from pipeline.text.sources.read import Source
from pipeline.text.task import prepare_task

NO_TASK = Task({}, True)


def _zst(content: bytes) -> bytes:
    stream = pyarrow.BufferOutputStream()
    with pyarrow.CompressedOutputStream(stream, "zstd") as packed:
        packed.write(content)
    return bytes(stream.getvalue())


PACK: dict[str, Callable[[bytes], bytes]] = {
    "": lambda content: content,
    ".gz": gzip.compress,
    ".xz": lzma.compress,
    ".bz2": bz2.compress,
    ".zst": _zst,
}


def config(**values: Any) -> DatasetConfig:
    """A validated data set config."""
    return parse(DatasetConfig, values, "small.yaml")


def write(folder: Path, name: str, content: str | bytes) -> Path:
    """Write one file under `folder`."""
    path = folder / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content.encode("utf-8") if isinstance(content, str) else content)
    return path


def rows(folder: Path, part: Any = "train", **values: Any) -> list[dict[str, Any]]:
    """The values of a source's rows."""
    return [row.values for row in Source(config(**values), folder).rows(part)]


def task(folder: Path, out: Path, **values: Any) -> dict[str, list[tuple[str, Any]]]:
    """Prepare a task; returns (text, label or labels by name) of each part."""
    out.mkdir(parents=True)
    settings = config(**values)
    prepare_task(settings, Source(settings, folder), out, "small.yaml")
    names = read_json(out / "labels.json")["labels"]

    def named(label: Any) -> Any:
        return [names[one] for one in label] if isinstance(label, list) else names[label]

    return {
        part: [
            (text, named(label))
            for text, label in zip(
                read_texts(out / f"{part}.parquet"), read_labels(out / f"{part}.parquet"), strict=True
            )
        ]
        for part in ("train", "validation", "test")
    }


def corpus(folder: Path, out: Path, known: Task = NO_TASK, **values: Any) -> dict[str, list[str]]:
    """Prepare a corpus; returns the texts of each part."""
    out.mkdir(parents=True)
    settings = config(**values)
    prepare_corpus(settings, Source(settings, folder), out, known, "small.yaml")
    return {part: list(read_texts(out / f"{part}.parquet")) for part in ("train", "validation")}
