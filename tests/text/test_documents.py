"""Documents keep what a row says, and nothing is dropped or cut without a count."""

from pathlib import Path
from typing import Any

import pytest

from pipeline.base.errors import UserError
from pipeline.text.documents import LOOK_AT, Document, Tally, read_documents
from pipeline.text.sources.row import Row
from tests.text.small import config

HUB: dict[str, Any] = {"path": "owner/name"}


def read(values: list[dict[str, Any]], *, labelled: bool = True, **settings: Any) -> tuple[list[Document], Tally]:
    """The documents of rows, and what became of the others."""
    tally = Tally()
    found = (Row(one, "a.jsonl", "line", number) for number, one in enumerate(values, start=1))
    return list(read_documents(found, config(**HUB, **settings), tally, labelled=labelled)), tally


def test_line_ends_and_blank_edges_are_normalised() -> None:
    documents, _ = read([{"text": " \r\none\r\ntwo\rthree\n ", "label": "a"}], label="label")
    assert documents == [Document("one\ntwo\nthree", ("a",))]


def test_halves_of_surrogate_pairs_do_not_break_utf_8() -> None:
    documents, _ = read([{"text": "a \ud83d b 🐈"}], labelled=False)
    assert documents[0].text.encode("utf-8").decode("utf-8") == "a \ufffd b 🐈"


def test_null_and_blank_texts_and_missing_labels_are_dropped_and_counted() -> None:
    rows = [{"text": text, "label": label} for text, label in (("x", "a"), (None, "a"), (" \n", "a"), ("y", None))]
    documents, tally = read([*rows, {"text": "z", "label": " "}, {"label": "a"}], label="label")
    assert documents == [Document("x", ("a",))]
    assert tally.audit() == {
        "rows_read": 6,
        "documents_kept": 1,
        "dropped": {"blank text": 3, "no label": 2},
        "cut_to_max_characters": 0,
    }


def test_nan_is_null_in_texts_and_labels_as_numpy_and_pandas_write_it() -> None:
    nan = float("nan")
    rows = [{"text": nan, "label": 1.0}, {"text": "x", "label": nan}, {"text": "y", "label": 2.0}]
    documents, tally = read([*rows, {"text": "nan", "label": "nan"}], label="label")
    assert documents == [Document("y", ("2.0",)), Document("nan", ("nan",))], "the word is a word"
    assert tally.dropped == {"blank text": 1, "no label": 1}
    several = [{"text": "x", "label": nan}, {"text": "x", "label": ["a", nan]}]
    documents, tally = read(several, label="label", label_separator=";")
    assert (documents, tally.dropped) == ([Document("x", ("a",))], {"no label": 1})


def test_json_may_leave_out_a_null_in_its_first_rows_too() -> None:
    rows = [{"text": "x"}] * (LOOK_AT - 1)
    documents, tally = read([*rows, {"label": "a", "text": "y"}, {"label": "a"}], label="label")
    assert documents == [Document("y", ("a",))]
    assert tally.dropped == {"no label": LOOK_AT - 1, "blank text": 1}
    with pytest.raises(UserError, match=r'a.jsonl: no column "label"; there is: body, text'):
        read([{"body": "z"}, *rows, {"label": "a", "text": "y"}], label="label")


def test_a_text_longer_than_the_limit_is_cut_and_counted() -> None:
    documents, tally = read([{"text": "long " * 10_000_000}, {"text": "short"}], labelled=False, max_characters=1000)
    assert [len(document.text) for document in documents] == [999, 5]  # the cut ends in a space
    assert tally.cut == 1


def test_several_text_columns_are_joined_by_a_blank_line_without_the_empty_ones() -> None:
    rows = [{"title": "T", "body": "B"}, {"title": None, "body": "B"}, {"title": "T", "body": 7}]
    documents, _ = read(rows, labelled=False, text=["title", "body"])
    assert [document.text for document in documents] == ["T\n\nB", "B", "T\n\n7"]


def test_a_separator_gives_several_labels_each_once_and_sorted() -> None:
    rows = [{"text": "x", "label": value} for value in ("b; a;b", "a", "", ["c", "a"])]
    documents, tally = read(rows, label="label", label_separator=";")
    assert [document.labels for document in documents] == [("a", "b"), ("a",), ("a", "c")]
    assert tally.dropped["no label"] == 1


def test_columns_of_0_and_1_give_their_names_as_labels() -> None:
    rows = [{"text": "x", "rude": rude, "spam": spam} for rude, spam in ((1, 0), ("0", "1"), (True, True), (0, 0.0))]
    documents, _ = read(rows, label=["rude", "spam"])
    assert [document.labels for document in documents] == [("rude",), ("spam",), ("rude", "spam"), ()]


def test_numbers_become_the_names_that_the_config_gives() -> None:
    documents, _ = read([{"text": "x", "label": 1}, {"text": "y", "label": "0"}], label="label", label_names=["n", "p"])
    assert [document.labels for document in documents] == [("p",), ("n",)]


BAD: list[tuple[list[dict[str, Any]], dict[str, Any], str]] = [
    ([{"txt": "x", "label": "a"}], {}, 'a.jsonl: no column "text"; did you mean "txt"? (there is: label, txt)'),
    ([{"text": "x", "lable": "a"}], {}, 'a.jsonl: no column "label"; did you mean "lable"?'),
    ([{"text": ["x"], "label": "a"}], {}, 'a.jsonl: line 1: column "text" holds a list, not text'),
    ([{"text": "x", "label": ["a"]}], {}, 'a.jsonl: line 1: column "label" holds a list; for several labels'),
    (
        [{"text": "x", "label": ["a"]}],
        {},
        "`--separator ','` of `ulmfit new-task`, `label_separator: ','` of a config",
    ),
    ([{"text": "x", "label": {}}], {}, 'line 1: column "label" holds a dict, not a label; name another column'),
    ([{"text": "x", "label": {}}], {"label_separator": ","}, "holds a dict, not a label; name another column"),
    ([{"text": "x", "label": "2"}], {"label_names": ["n", "p"]}, 'line 1: label "2" is not a number from 0 to 1'),
    ([{"text": "x", "label": "2" * 5000}], {"label_names": ["n", "p"]}, '2" is not a number from 0 to 1, the places'),
    ([{"text": "x", "label": "yes"}], {"label": ["label"]}, 'line 1: column "label" holds "yes"; a list of label'),
]


@pytest.mark.parametrize(("rows", "settings", "message"), BAD)
def test_a_row_that_does_not_fit_the_config_is_refused(
    rows: list[dict[str, Any]], settings: dict[str, Any], message: str
) -> None:
    with pytest.raises(UserError) as refused:
        read(rows, **{"label": "label", **settings})
    assert message in str(refused.value)
    assert "\n" not in str(refused.value)


def test_a_column_that_only_later_files_lack_is_refused_too(tmp_path: Path) -> None:
    rows = [Row({"text": "x"}, "one.csv", "line", 2), Row({"body": "x"}, "two.csv", "line", 2)]
    with pytest.raises(UserError, match=r'two.csv: no column "text"'):
        list(read_documents(rows, config(**HUB), Tally(), labelled=False))
