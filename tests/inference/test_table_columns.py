"""Promises of the prediction files: columns are read as in training, and JSON arrays and folders come back as such."""

import csv
import gzip
import io
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from pipeline.base.errors import UserError
from pipeline.config.dataset import DatasetConfig
from pipeline.inference.tables.choose import table
from pipeline.text.documents import Tally, read_documents
from pipeline.text.sources.read import Source
from tests.inference.test_tables import TEXTS, passed


def as_json_lines(rows: list[dict[str, Any]]) -> bytes:
    return "\n".join(map(json.dumps, rows)).encode()


def as_csv(rows: list[dict[str, Any]]) -> bytes:
    made = io.StringIO()
    writer = csv.DictWriter(made, list(rows[0]))
    writer.writeheader()
    writer.writerows(rows)
    return made.getvalue().encode()


def as_parquet(rows: list[dict[str, Any]]) -> bytes:
    made = io.BytesIO()
    pq.write_table(pa.Table.from_pylist(rows), made)
    return made.getvalue()


@pytest.mark.parametrize(
    ("form", "content"),
    [
        ("csv", as_csv),
        ("jsonl", as_json_lines),
        ("json", lambda rows: json.dumps(rows).encode()),
        ("parquet", as_parquet),
    ],
)
def test_several_columns_are_joined_as_in_training(
    form: str, content: Callable[[list[dict[str, Any]]], bytes], tmp_path: Path
) -> None:
    """The text of a row is the one that `read_documents` gave the classifier, numbers, nulls and all."""
    rows = [
        {"subject": "printer", "id": 7, "body": "jammed"},
        {"subject": "", "id": 8, "body": "charged twice"},
        {"subject": "no body", "id": 9, "body": None},
    ]
    columns = ("id", "body", "subject")
    texts, _ = passed(form, content(rows), columns, label=["a"] * 3)
    assert texts == ["7\n\njammed\n\nprinter", "8\n\ncharged twice", "9\n\nno body"]
    (tmp_path / f"train.{form}").write_bytes(content(rows))
    config = DatasetConfig(path=form, text=columns, data_files={"train": f"train.{form}"})
    source = Source(config, tmp_path)
    assert texts == [one.text for one in read_documents(source.rows("train"), config, Tally(), labelled=False)]


def test_json_objects_may_leave_out_one_of_several_columns() -> None:
    rows: list[dict[str, Any]] = [{"subject": "a"}, {"body": "b"}]
    assert passed("jsonl", as_json_lines(rows), ["subject", "body"], label=["x", "y"])[0] == ["a", "b"]
    with pytest.raises(UserError, match='line 3 has no column `subject`; did you mean "subjekt"'):
        passed("jsonl", as_json_lines([*rows, {"subjekt": "c"}]), ["subject", "body"])


@pytest.mark.parametrize("wrapped", [False, True])
def test_a_json_array_comes_back_as_an_array(wrapped: bool) -> None:
    rows = [{"text": text, "id": n, "more": {"b": [1, None]}} for n, text in enumerate(TEXTS * 10)]
    given = json.dumps({"version": 1, "data": rows} if wrapped else rows, indent=1, ensure_ascii=wrapped)
    texts, written = passed("json", b"\xef\xbb\xbf" + given.encode(), label=["a"] * 50, probability=[0.1] * 50)
    assert texts == TEXTS * 10
    assert json.loads(written) == [row | {"label": "a", "probability": 0.1} for row in rows]


def test_a_folder_is_a_document_a_file(tmp_path: Path) -> None:
    (tmp_path / "b").mkdir()
    (tmp_path / ".hidden").mkdir()
    (tmp_path / "a.txt").write_text("two\nlines", encoding="utf-8")
    (tmp_path / "b" / "강가.txt.gz").write_bytes(gzip.compress("강가를".encode()))
    for hidden in (".hidden/c.txt", "b/.DS_Store"):
        (tmp_path / hidden).write_bytes(b"\xff")
    rows, sink = table(str(tmp_path), ["text"], "folder"), io.BytesIO()
    (block,) = rows.blocks(io.BytesIO())
    assert block.texts == ["two\nlines", "강가를"]
    rows.write(sink, block, {"label": ["x", "y"], "probability": [0.5, 1.0]})
    assert sink.getvalue().decode() == "x\t0.5\ta.txt\ny\t1\tb/강가.txt.gz\n"
    (tmp_path / "c.txt").write_bytes(b"na\xefve")
    with pytest.raises(UserError, match=r"c\.txt: is not UTF-8 at byte 2"):
        list(table(str(tmp_path), ["text"], "folder").blocks(io.BytesIO()))
