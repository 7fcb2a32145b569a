"""Promises of the prediction files: rows come back as they came in, in blocks, and mistakes name their line."""

import csv
import io
import json
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from pipeline.base.errors import UserError
from pipeline.inference.tables.base import FIRST_ROWS, MOST_CHARACTERS, MOST_ROWS
from pipeline.inference.tables.choose import table
from pipeline.inference.tables.formats import format_of

TEXTS = ["강가를 걸었다", 'says "no", twice', "two\nlines", "", "买了苹果\u2028和面包"]


def passed(
    form: Any, content: bytes, text: Sequence[str] = ("text",), **columns: Sequence[Any]
) -> tuple[list[str], bytes]:
    """The texts that a format finds in `content`, and what it writes with `label` and `probability` added."""
    rows, sink, texts = table("input", text, form), io.BytesIO(), []
    for block in rows.blocks(io.BytesIO(content)):
        at = slice(len(texts), len(texts) + len(block.texts))
        texts += block.texts
        rows.write(sink, block, {name: values[at] for name, values in columns.items()})
    rows.finish()
    return texts, sink.getvalue()


def test_lines_keep_every_line_and_put_the_answer_before_it() -> None:
    content = "\ufefffirst\r\n\n买了\u2028苹果\tand a tab\nno end".encode()
    texts, written = passed(
        "lines", content, label=["a", "b", "c", "d"], probability=[0.5, 0.25, 1.0, 1e-9], probability_a=[0.5, 0, 0, 0.0]
    )
    assert texts == ["first", "", "买了\u2028苹果\tand a tab", "no end"]
    assert written.decode().split("\n")[:3] == [
        "a\t0.5\tprobability_a=0.5\tfirst",
        "b\t0.25\tprobability_a=0\t",
        "c\t1\tprobability_a=0\t买了\u2028苹果\tand a tab",
    ]


@pytest.mark.parametrize(("form", "delimiter"), [("csv", ","), ("csv", ";"), ("tsv", "\t")])
def test_delimited_rows_come_back_whole_with_new_columns(form: str, delimiter: str) -> None:
    given = io.StringIO()
    writer = csv.writer(given, delimiter=delimiter)
    writer.writerows([["id", "text", "label"], *([str(n), text, "x"] for n, text in enumerate(TEXTS))])
    texts, written = passed(form, given.getvalue().encode(), label=["a"] * 5, probability=[0.123456789] * 5)
    assert texts == TEXTS
    read = list(csv.reader(io.StringIO(written.decode(), newline=""), delimiter=delimiter))
    assert read[0] == ["id", "text", "label", "predicted_label", "probability"], "the given labels stay"
    assert read[1:] == [[str(n), text, "x", "a", "0.123457"] for n, text in enumerate(TEXTS)]


@pytest.mark.parametrize("end", ["\n", "\r\n", "\r"])
@pytest.mark.parametrize("last", [True, False])
def test_lines_of_a_csv_end_as_every_system_ends_them(end: str, last: bool) -> None:
    """Excel's "CSV (Macintosh)" ends them with a carriage return alone, which `ulmfit new-task` takes too."""
    content = f'id,text{end}1,one{end}{end}2,"two{end}lines"' + end * last
    texts, written = passed("csv", content.encode(), label=["a"] * 2)
    assert texts == ["one", f"two{end}lines"]
    read = list(csv.reader(io.StringIO(written.decode(), newline="")))
    assert read == [["id", "text", "label"], ["1", "one", "a"], ["2", f"two{end}lines", "a"]]


def test_json_lines_keep_other_fields_and_escapes() -> None:
    rows = [{"text": text, "id": n, "more": {"b": [1, None]}} for n, text in enumerate(TEXTS)]
    lines = [json.dumps(row, ensure_ascii=n % 2 == 0) for n, row in enumerate(rows)]
    content = "\n\n".join([*lines, r'{"text": "half \ud800 pair", "label": "x"}', '{"text": null}']).encode()
    texts, written = passed("jsonl", content, label=["a"] * 7, probability=[0.1] * 7)
    assert texts == [*TEXTS, "half \ud800 pair", ""]
    read = [json.loads(line) for line in written.decode().split("\n")[:-1]]
    assert read[:5] == [row | {"predicted_label": "a", "probability": 0.1} for row in rows], "one name in all rows"
    assert read[5] == {"text": "half \ud800 pair", "label": "x", "predicted_label": "a", "probability": 0.1}
    assert "강가를" in written.decode()


@pytest.mark.parametrize("kind", [pa.string(), pa.large_string(), pa.dictionary(pa.int32(), pa.string())])
def test_parquet_keeps_columns_and_types(kind: pa.DataType) -> None:
    given = pa.table(
        {"text": pa.array([*TEXTS, None]).cast(kind), "label": pa.array(range(6), pa.int8())},
        metadata={"huggingface": "{}", "other": "kept"},
    )
    content = io.BytesIO()
    pq.write_table(given, content, row_group_size=4)
    texts, written = passed("parquet", content.getvalue(), label=["a"] * 6, probability=[0.5] * 6)
    assert texts == [*TEXTS, ""]
    read = pq.read_table(io.BytesIO(written))
    assert read.select(["text", "label"]).equals(given)
    assert read.schema.metadata == {b"other": b"kept"}
    assert read["predicted_label"].to_pylist() == ["a"] * 6
    assert read.schema.field("probability").type == pa.float64()


def test_parquet_passes_through_pipes_in_both_directions() -> None:
    class Pipe(io.BytesIO):
        def seekable(self) -> bool:
            return False

        def tell(self) -> int:
            raise OSError("a pipe does not know where it is")

    content = io.BytesIO()
    pq.write_table(pa.table({"text": TEXTS}), content)
    rows, sink = table("standard input", ["text"], "parquet"), Pipe()
    for block in rows.blocks(Pipe(content.getvalue())):
        rows.write(sink, block, {"label": ["a"] * 5})
    rows.finish()
    assert pq.read_table(io.BytesIO(sink.getvalue()))["text"].to_pylist() == TEXTS


@pytest.mark.parametrize("form", ["csv", "jsonl", "parquet", "lines"])
def test_several_labels_are_lists_where_a_format_has_them(form: str) -> None:
    if form == "parquet":
        given = io.BytesIO()
        pq.write_table(pa.table({"text": ["one", "two"]}), given)
        content = given.getvalue()
    else:
        content = {"csv": b"text\none\ntwo\n", "jsonl": b'{"text": "one"}\n{"text": "two"}\n', "lines": b"one\ntwo\n"}[
            form
        ]
    _, written = passed(form, content, label=[[], ["a", "b"]], probability=[[], [0.75, 0.5]])
    if form == "parquet":
        read = pq.read_table(io.BytesIO(written)).to_pylist()
    elif form == "jsonl":
        read = [json.loads(line) for line in written.decode().splitlines()]
    else:
        expected = {
            "csv": "text,label,probability\none,,\ntwo,a;b,0.75;0.5\n",
            "lines": "\t\tone\na;b\t0.75;0.5\ttwo\n",
        }
        assert written.decode() == expected[form]
        return
    assert read == [
        {"text": "one", "label": [], "probability": []},
        {"text": "two", "label": ["a", "b"], "probability": [0.75, 0.5]},
    ]


def test_blocks_begin_small_and_stay_bounded() -> None:
    """The first answers come at once, and memory is that of one block."""
    rows = table("input", ["text"], "lines")
    sizes = [len(block.texts) for block in rows.blocks(io.BytesIO(b"short\n" * 5000))]
    assert sizes[0] == FIRST_ROWS
    assert max(sizes) == MOST_ROWS
    assert sum(sizes) == 5000
    assert rows.bytes_read == 30_000
    long = ("x" * (MOST_CHARACTERS // 4) + "\n").encode() * 9
    assert max(len(block.texts) for block in table("input", ["text"], "lines").blocks(io.BytesIO(long))) == 4


def test_reading_is_a_stream() -> None:
    """A second block is read only after the first has been used."""

    class Endless(io.RawIOBase):
        def readable(self) -> bool:
            return True

        def readinto(self, buffer: Any) -> int:
            buffer[:] = (b"line\n" * (len(buffer) // 5 + 1))[: len(buffer)]
            return len(buffer)

    assert len(next(table("input", ["text"], "lines").blocks(io.BufferedReader(Endless()))).texts) == FIRST_ROWS


def test_fields_may_be_longer_than_pythons_own_limit() -> None:
    assert passed("csv", b"text\n" + b"x" * 200_000 + b"\n", label=["a"])[0] == ["x" * 200_000]


@pytest.mark.parametrize(
    ("form", "content", "message"),
    [
        ("lines", b"fine\nna\xefve\n", r"input: is not UTF-8 at byte 7"),
        ("csv", b"txt,label\na,b\n", r'input: has no column `text`; did you mean "txt"\?.*use --text COLUMN'),
        ("csv", b"text,id,text\na,1,b\n", r"input: column `text` stands twice in the header; rename one"),
        ("csv", b"text,id\na,1\nb\n", r"input: line 3 has 1 fields where the header has 2"),
        ("csv", b'text,id\n"a,1\nb,2\n', r"input: line 3: unexpected end of data; check the quotes"),
        ("csv", b"text;id\na;1;2\n", r"line 2 has 3 fields.*semicolons"),
        ("tsv", b"text\na\tb\n", r"line 2 has 2 fields.*tabs"),
        ("jsonl", b'{"text": "a", "n": ' + b"1" * 5000 + b"}", "line 1 cannot be read"),
        ("jsonl", b'{"text": "a"}\n{"text": \n', r"input: line 2 is not JSON"),
        ("jsonl", b'["a"]\n', r"input: line 1 is not an object"),
        ("jsonl", b'{"text": "a"}\n{"texts": "a"}\n', r'input: line 2 has no column `text`; did you mean "texts"'),
        ("jsonl", b'{"text": ["a"]}\n', r'input: line 1: column "text" holds a list, not text; name another column'),
        ("json", b'[{"text": "a"}, {"text": {}}]', r'input: row 2: column "text" holds a dict, not text'),
        ("json", b'[{"text": "a"}\n{"text": "b"}]', r"input: line 2: expected `,` or `]` after an element"),
        ("json", b'{"text": "a"}\n{"text": "b"}\n', r'input: .* has no key "data".*one object a line \(jsonl\)'),
        ("json", b'[{"texts": "a"}]', r'input: row 1 has no column `text`; did you mean "texts"'),
        ("json", b'[{"text": "na\xefve"}]', r"input: is not UTF-8 at byte 13"),
        ("parquet", b"PAR1 and no more", r"input: is not a parquet file, or is damaged"),
    ],
)
def test_mistakes_are_one_line_with_the_place(form: str, content: bytes, message: str) -> None:
    with pytest.raises(UserError, match=message) as caught:
        passed(form, content, label=["a"] * 9)
    assert "\n" not in str(caught.value)


def test_parquet_mistakes_name_the_column() -> None:
    content = io.BytesIO()
    pq.write_table(pa.table({"body": ["a", "b"], "text": [None, ["x"]]}), content)
    with pytest.raises(UserError, match='row 2: column "text" holds a list, not text'):
        passed("parquet", content.getvalue())
    with pytest.raises(UserError, match=r'has no column `bodi`; did you mean "body"'):
        passed("parquet", content.getvalue(), ["bodi"])
    twice = io.BytesIO()
    pq.write_table(pa.Table.from_arrays([pa.array(["a"])] * 2, names=["text", "text"]), twice)
    with pytest.raises(UserError, match="column `text` stands twice"):
        passed("parquet", twice.getvalue())
    damaged = bytearray(content.getvalue())
    damaged[4:30] = b"\xff" * 26
    with pytest.raises(UserError, match="is not a parquet file, or is damaged"):
        passed("parquet", bytes(damaged), ["body"])


def test_format_follows_the_ending(tmp_path: Path) -> None:
    endings = {"a.txt": "lines", "a": "lines", "a.CSV": "csv", "b.ndjson": "jsonl", "c.parquet": "parquet"}
    for name, form in {
        **endings,
        "d.json": "json",
        "e.tsv.GZ": "tsv",
        "f.gz": "lines",
        str(tmp_path): "folder",
    }.items():
        assert format_of(name) == form, name
    with pytest.raises(UserError, match=r"a\.xlsx: its ending does not tell its format; add --format lines or csv or"):
        format_of("a.xlsx")


def test_reading_needs_no_arrow_but_for_parquet() -> None:
    check = "import sys, io; from pipeline.inference.tables.choose import table; "
    check += "list(table('a.csv', ['text'], 'csv').blocks(io.BytesIO(b'text\\na\\n'))); print('pyarrow' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", check], capture_output=True, text=True, check=True).stdout == "False\n"


def test_a_lone_carriage_return_in_a_field_comes_back_quoted() -> None:
    _, written = passed("csv", b'text,id\n"one\rtwo",1\n', label=["a"], probability=[0.5])
    assert written == b'text,id,label,probability\n"one\rtwo",1,a,0.5\n'
    assert passed("csv", written, label=["a"], probability=[0.5])[0] == ["one\rtwo"]


def test_a_given_label_is_never_taken_for_a_prediction() -> None:
    rows = ['{"text": "a"}'] * FIRST_ROWS + ['{"text": "b", "label": "gold"}']
    with pytest.raises(UserError, match="`label`, which holds the predictions of the rows before, is in a later row"):
        passed("jsonl", "\n".join(rows).encode(), label=["x"] * len(rows), probability=[0.5] * len(rows))
