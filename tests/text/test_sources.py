"""Every kind of file gives the same documents, compressed or not, and a bad one is refused with its place."""

import codecs
import csv
import io
import json
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pyarrow
import pyarrow.parquet
import pytest

from pipeline.base.errors import UserError
from pipeline.base.files import sha256
from pipeline.text.sources import json_array
from pipeline.text.sources.json_array import read_objects
from tests.text.small import PACK, config, rows, write

DOCUMENTS = [
    {"text": "plain", "label": "a"},
    {"text": 'a comma, "quotes"\nand a line end', "label": "b"},
    {"text": "주문한 책이 아직 오지 않았습니다", "label": "문의"},
    {"text": "我的包裹没有送到。", "label": "投诉"},
    {"text": "emoji 🐈 and é", "label": "a"},
]


def _csv(delimiter: str) -> bytes:
    text = io.StringIO()
    writer = csv.DictWriter(text, ["text", "label"], delimiter=delimiter)
    writer.writeheader()
    writer.writerows(DOCUMENTS)
    return text.getvalue().encode()


def _parquet() -> bytes:
    stream = pyarrow.BufferOutputStream()
    pyarrow.parquet.write_table(pyarrow.Table.from_pylist(DOCUMENTS), stream)
    return bytes(stream.getvalue())


CONTENT: dict[str, Callable[[], bytes]] = {
    "csv": lambda: _csv(","),
    "tsv": lambda: _csv("\t"),
    "json": lambda: json.dumps(DOCUMENTS, indent=1).encode(),
    "jsonl": lambda: "".join(json.dumps(one, ensure_ascii=False) + "\n" for one in DOCUMENTS).encode(),
    "parquet": _parquet,
}


@pytest.mark.parametrize("packed", PACK)
@pytest.mark.parametrize("kind", CONTENT)
def test_every_format_gives_the_same_rows_compressed_or_not(kind: str, packed: str, tmp_path: Path) -> None:
    write(tmp_path, f"a.{kind}{packed}", PACK[packed](CONTENT[kind]()))
    assert rows(tmp_path, path=kind, data_files={"train": f"a.{kind}{packed}"}) == DOCUMENTS


@pytest.mark.parametrize("packed", PACK)
def test_a_folder_per_class_gives_each_file_with_its_folders_name(packed: str, tmp_path: Path) -> None:
    for number, one in enumerate(DOCUMENTS):
        write(tmp_path, f"all/{one['label']}/{number}.txt{packed}", PACK[packed](one["text"].encode()))
    write(tmp_path, "all/a/.hidden", "no document")
    found = rows(tmp_path, path="folder", data_files={"train": "all"})
    assert sorted(map(str, found)) == sorted(map(str, DOCUMENTS))


@pytest.mark.parametrize("packed", PACK)
@pytest.mark.parametrize(
    ("documents", "expected"),
    [
        ("line", ["one\n", "two\n", "\n", "\n", "three"]),
        ("paragraph", ["one\ntwo\n", "three"]),
        ("file", ["one\ntwo\n\n\nthree"]),
    ],
)
def test_plain_text_is_documents_by_line_paragraph_or_file(
    documents: str, expected: list[str], packed: str, tmp_path: Path
) -> None:
    write(tmp_path, f"a.txt{packed}", PACK[packed](b"one\ntwo\n\n\nthree"))
    found = rows(tmp_path, path="text", data_files={"train": f"a.txt{packed}"}, documents=documents)
    assert [row["text"] for row in found] == expected


def test_json_may_hold_its_array_under_data_after_other_keys(tmp_path: Path) -> None:
    write(tmp_path, "a.json", json.dumps({"version": 1.5, "about": {"data": [1]}, "data": DOCUMENTS, "end": []}))
    assert rows(tmp_path, path="json", data_files={"train": "a.json"}) == DOCUMENTS


def test_a_json_array_longer_than_the_window_is_read_whole(tmp_path: Path) -> None:
    many = [{"text": "x" * size, "label": str(size)} for size in (10, 70_000, 200_000, 5)] * 3
    write(tmp_path, "a.json", json.dumps(many))
    assert rows(tmp_path, path="json", data_files={"train": "a.json"}) == many


def test_a_json_typo_is_told_where_it_stands_and_not_after_the_whole_file() -> None:
    text = io.StringIO('[{"text": "x"},\n{"text" "y"},\n' + '{"text": "z"},\n' * 1_000_000 + "]")
    with pytest.raises(UserError, match=r"a.json: line 2: is not JSON .Expecting ':' delimiter"):
        list(read_objects(text, "a.json"))
    assert text.tell() < 200_000


@pytest.mark.parametrize("cut", range(1, 60))
def test_json_is_the_same_wherever_a_window_ends(cut: int, monkeypatch: pytest.MonkeyPatch) -> None:
    one = {"text": 'a "quote" \U0001f408 \\', "n": -1.5e-07, "no": None, "yes": [True, False], "end": float("-inf")}
    text = '[{"text": "first"}, ' + json.dumps(one, indent=1) + "]"
    monkeypatch.setattr(json_array, "BLOCK", cut)
    assert [row.values for row in read_objects(io.StringIO(text), "a.json")] == [{"text": "first"}, one]


def test_a_byte_order_mark_is_no_part_of_the_first_column(tmp_path: Path) -> None:
    write(tmp_path, "a.csv", b"\xef\xbb\xbftext,label\nx,y\n")
    assert rows(tmp_path, path="csv", data_files={"train": "a.csv"}) == [{"text": "x", "label": "y"}]


@pytest.mark.parametrize(
    ("content", "expected"),
    [
        (_csv(";"), DOCUMENTS),
        (b'\xef\xbb\xbf"text";"label"\r\n"one, two";a\r\n', [{"text": "one, two", "label": "a"}]),
        (b"text\none; two\n", [{"text": "one; two"}]),
        (b"text,la;bel\nx,a;b\n", [{"text": "x", "la;bel": "a;b"}]),
        (b'"text; label"\nx\n', [{"text; label": "x"}]),
    ],
)
def test_a_csv_whose_header_is_parted_by_semicolons_alone_is_so(
    content: bytes, expected: list[dict[str, str]], tmp_path: Path
) -> None:
    """Excel writes it in much of Europe. What a text holds, or a name in quotes, decides nothing."""
    write(tmp_path, "a.csv", content)
    assert rows(tmp_path, path="csv", data_files={"train": "a.csv"}) == expected


def test_a_field_of_many_megabytes_is_read(tmp_path: Path) -> None:
    write(tmp_path, "a.csv", "text,label\n" + "long " * 2_000_000 + ",y\n")
    assert len(rows(tmp_path, path="csv", data_files={"train": "a.csv"})[0]["text"]) == 10_000_000


def test_a_table_of_very_many_columns_is_opened_as_fast_as_it_is_read(tmp_path: Path) -> None:
    names = [f"c{number}" for number in range(50_000)]
    write(tmp_path, "a.csv", ",".join(names) + "\n" + ",".join(names) + "\n")
    started = time.process_time()
    assert rows(tmp_path, path="csv", data_files={"train": "a.csv"}) == [dict(zip(names, names, strict=True))]
    assert time.process_time() - started < 5


def test_globs_are_sorted_and_lists_keep_their_order(tmp_path: Path) -> None:
    for name in ("b-1", "b-2", "a"):
        write(tmp_path, f"{name}.txt", name)
    found = rows(tmp_path, path="text", data_files={"train": ["b-*.txt", "a.txt"]})
    assert [row["text"] for row in found] == ["b-1", "b-2", "a"]


@pytest.mark.parametrize("pattern", ["**.txt", "a**/b.txt"])
def test_a_pattern_that_python_cannot_read_is_refused_in_one_line(pattern: str, tmp_path: Path) -> None:
    write(tmp_path, "sub/a.txt", "x")
    try:
        list(tmp_path.glob(pattern))
        message = "no such file; there is: sub/a.txt"
    except ValueError:
        message = "is no pattern of file names"
    with pytest.raises(UserError, match=message) as refused:
        rows(tmp_path, path="text", data_files={"train": pattern})
    assert str(tmp_path / pattern) in str(refused.value)
    assert "\n" not in str(refused.value)
    assert rows(tmp_path, path="text", data_files={"train": "**/*.txt"}) == [{"text": "x"}]


BAD: list[tuple[str, bytes, str]] = [
    ("csv", b"", "is empty; it needs a header line"),
    ("csv", b"text,label\n", "has a header and no rows"),
    ("csv", b"text,label\nfine,a\none,two,three\n", "line 3: has 3 fields and the header has 2"),
    ("csv", b"text;label\none;two;three\n", "the header has 2; put a text that holds ';' in double quotes"),
    ("csv", b"text,label\nfine,a\n\nshort\n", "line 4: has 1 fields and the header has 2"),
    ("csv", b'text,label\n"never closed,a\n', "line 2: unexpected end of data"),
    ("csv", b"text,text\nx,y\n", 'column "text" stands twice'),
    ("csv", b"text,label\nfine,a\ncaf\xe9,b\n", "is not UTF-8 at byte 21"),
    ("csv", b"caf\xe9,label\nfine,a\n", "for instance `iconv -f latin1 -t utf-8`"),
    ("csv", "text,label\nx,y\n".encode("utf-16"), "is not UTF-8 at byte 0"),
    ("csv", codecs.BOM_UTF16_LE + "text,label\n".encode("utf-16-le"), "for instance `iconv -f utf-16 -t utf-8`"),
    ("csv", codecs.BOM_UTF16_BE + "text,label\n".encode("utf-16-be"), "for instance `iconv -f utf-16 -t utf-8`"),
    ("csv", b"text,label\nx,y\xc3", "is not UTF-8 at byte 14"),
    ("jsonl", b'{"text": "x"}\n{"text": \n', "line 2: is not JSON"),
    ("jsonl", b'{"text": "x"}\n["x"]\n', "line 2: is not a JSON object"),
    ("jsonl", b"\n\n", "is empty"),
    ("jsonl", b'{"text": "x"}\n{"text": "y", "n": ' + b"1" * 5000 + b"}\n", "line 2: cannot be read"),
    ("json", b"", "is empty"),
    ("json", b"[]", "empty array"),
    ("json", b'[{"text": "x"},\n{"text": }]', "line 2: is not JSON"),
    ("json", b"[\n" + b'{"text": "x"},\n' * 10 + b'{"text": oops}\n' + b"\n" * 50 + b"]", "line 12: is not JSON"),
    ("json", b'[{"text": "x"},\n{"n": ' + b"1" * 5000 + b"}]", "line 2: cannot be read"),
    ("json", b'[{"text": "x"},\n{"text": "y"}', "line 2: expected `,` or `]`"),
    ("json", b'{"rows": []}', 'has no key "data"'),
    ("json", b'"text"', "is neither an array"),
    ("json", b"[1]", "element 1 is not an object"),
    ("json", b'[{"text": "x"}]\n[{"text": "y"}]\n', "line 2: goes on after its array"),
    ("json", b'[]\n[{"text": "y"}]\n', "line 2: goes on after its array"),
    ("json", b'[{"text": "x"}]]', "line 1: goes on after its array"),
    ("json", b'{"data": [{"text": "x"}], "n": 1}\n{"data": [{"text": "y"}]}', "line 2: goes on after its object"),
    ("json", b'{"data": [{"text": "x"}],\n"data": [{"text": "y"}]}', 'line 2: has the key "data" twice'),
    ("json", b'{"data": [{"text": "x"}],\n"n": }', "line 2: is not JSON"),
    ("json", b'{"data": [{"text": "x"}],\n"n": 1', "line 2: expected `}`"),
    ("json", b'{"data": [{"text": "x"}], 1: 2}', "line 1: expected a key after `,`"),
    ("parquet", b"PAR1 not really", "is not a whole parquet file"),
    ("text", b"", "is empty"),
]


@pytest.mark.parametrize(("kind", "content", "message"), BAD)
def test_a_bad_file_is_refused_with_its_name_and_place(kind: str, content: bytes, message: str, tmp_path: Path) -> None:
    path = write(tmp_path, "bad.file", content)
    with pytest.raises(UserError) as refused:
        rows(tmp_path, path=kind, data_files={"train": "bad.file"})
    assert message in str(refused.value)
    assert str(path) in str(refused.value)
    assert "\n" not in str(refused.value)


def test_a_bad_byte_far_into_a_file_is_named_by_its_offset(tmp_path: Path) -> None:
    good = "text\n" + "é" * 2_000_000 + "\n"
    write(tmp_path, "a.csv", good.encode() + b"\xff\n")
    with pytest.raises(UserError, match=f"at byte {len(good.encode())} "):
        rows(tmp_path, path="csv", data_files={"train": "a.csv"})


@pytest.mark.parametrize("packed", [name for name in PACK if name])
def test_a_truncated_archive_is_refused(packed: str, tmp_path: Path) -> None:
    content = PACK[packed](CONTENT["csv"]() + b"more,a\n" * 9999)
    path = write(tmp_path, f"a.csv{packed}", content[: len(content) // 2])
    with pytest.raises(UserError, match="cannot be read to its end") as refused:
        rows(tmp_path, path="csv", data_files={"train": path.name})
    assert str(path) in str(refused.value)


def test_a_missing_file_is_named_with_the_nearest_there_is(tmp_path: Path) -> None:
    write(tmp_path, "tickets.csv", "text\nx\n")
    with pytest.raises(UserError, match=r'tickts.csv: no such file; did you mean "tickets.csv"'):
        rows(tmp_path, path="csv", data_files={"train": "tickts.csv"})


def test_a_folder_without_classes_is_refused(tmp_path: Path) -> None:
    write(tmp_path, "all/a.txt", "x")
    with pytest.raises(UserError, match="has no sub-folders"):
        rows(tmp_path, path="folder", data_files={"train": "all"})


def test_files_kept_elsewhere_need_the_variable_the_file_and_its_checksum(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = write(tmp_path, "imdb/train.txt", "film")
    name = "$DATASETS_DIR/imdb/train.txt"
    values: dict[str, Any] = {"path": "text", "data_files": {"train": name}}
    monkeypatch.delenv("DATASETS_DIR", raising=False)
    with pytest.raises(UserError, match="DATASETS_DIR is not set"):
        rows(tmp_path, **values)
    monkeypatch.setenv("DATASETS_DIR", str(tmp_path / "nowhere"))
    with pytest.raises(UserError, match="no such file in DATASETS_DIR"):
        rows(tmp_path, **values)
    monkeypatch.setenv("DATASETS_DIR", str(tmp_path))
    with pytest.raises(UserError, match=f"has no checksum; add .*{sha256(path)}"):
        rows(tmp_path, **values)
    with pytest.raises(UserError, match="its sha256 differs"):
        rows(tmp_path, **values, sha256={name: "0" * 64})
    assert rows(tmp_path, **values, sha256={name: sha256(path)}) == [{"text": "film"}]


@pytest.mark.parametrize("name", ["/etc/passwd", "../other/a.csv"])
def test_files_outside_the_data_sets_folder_are_refused(name: str) -> None:
    with pytest.raises(UserError, match=r"must lie in data/raw/NAME/"):
        config(path="csv", data_files={"train": name})


def test_the_end_of_a_name_tells_the_compression_in_capitals_too(tmp_path: Path) -> None:
    write(tmp_path, "A.CSV.GZ", PACK[".gz"](CONTENT["csv"]()))
    assert rows(tmp_path, path="csv", data_files={"train": "A.CSV.GZ"}) == DOCUMENTS


def test_a_file_of_two_parts_is_refused(tmp_path: Path) -> None:
    """A glob for train that catches the test file would train on what is to be judged by."""
    for name in ("a.csv", "test.csv"):
        write(tmp_path, name, CONTENT["csv"]())
    with pytest.raises(UserError, match=r"test.csv: is in both train and test; name each part's own files"):
        rows(tmp_path, path="csv", data_files={"train": "*.csv", "test": "test.csv"})
    assert len(rows(tmp_path, path="csv", data_files={"train": "a.csv", "test": "test.csv"})) == len(DOCUMENTS)


def test_a_folder_where_a_file_belongs_is_refused(tmp_path: Path) -> None:
    write(tmp_path, "sub/a.csv", CONTENT["csv"]())
    with pytest.raises(UserError, match=r"sub: is a folder; name the files in it, for instance `sub/\*`"):
        rows(tmp_path, path="csv", data_files={"train": "sub"})


def test_a_damaged_page_of_a_parquet_file_is_one_line(tmp_path: Path) -> None:
    content = bytearray(_parquet())
    content[4:60] = b"\xff" * 56  # the index at the end is whole
    write(tmp_path, "a.parquet", bytes(content))
    with pytest.raises(UserError, match="is not a whole parquet file"):
        rows(tmp_path, path="parquet", data_files={"train": "a.parquet"})
