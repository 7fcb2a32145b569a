"""Articles are joined from lines: a title begins one and a file ends one; what is no text is told with its place."""

import json
from pathlib import Path
from typing import Any

import pytest

from pipeline.base.errors import UserError
from pipeline.text.documents import Tally, read_documents
from pipeline.text.sources.read import Source
from tests.text.small import config, rows, write


def articles(folder: Path, *files: str, text: Any = "text") -> list[Any]:
    """The articles of such jsonl files."""
    for number, content in enumerate(files):
        write(folder, f"{number}.jsonl", content)
    names = [f"{number}.jsonl" for number in range(len(files))]
    return [
        row["text"] for row in rows(folder, path="jsonl", data_files={"train": names}, text=text, documents="article")
    ]


def jsonl(*lines: Any) -> str:
    """A file of these values under "text"."""
    return "".join(json.dumps({"text": line}) + "\n" for line in lines)


def test_articles_begin_at_titles_not_at_section_headings(tmp_path: Path) -> None:
    write(
        tmp_path, "a.txt", " \n = Valkyria = \n \n It is a game . \n = = Plot = = \n x = 3 \n = Tower of = one = \n End"
    )
    found = rows(tmp_path, path="text", data_files={"train": "a.txt"}, documents="article")
    assert [row["text"].split("\n")[0].strip() for row in found] == ["", "= Valkyria =", "= Tower of = one ="]
    assert "= = Plot = =" in found[1]["text"]


def test_an_article_ends_with_its_file(tmp_path: Path) -> None:
    found = articles(tmp_path, jsonl(" = A = \n", "one"), jsonl("two\n"))
    assert found == [" = A = \none\n", "two\n"]


def test_articles_may_name_their_column_in_a_list_of_one(tmp_path: Path) -> None:
    assert articles(tmp_path, jsonl(" = A = ", "one"), text=["text"]) == [" = A = \none\n"]


def test_articles_hold_numbers_and_no_text_as_lines(tmp_path: Path) -> None:
    assert articles(tmp_path, jsonl(" = A = ", 1984, None, 0, True)) == [" = A = \n1984\n\n0\nTrue\n"]


def test_lines_of_articles_that_are_no_text_are_refused_with_their_place(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r'0.jsonl: line 2: column "text" holds a list, not text'):
        articles(tmp_path, jsonl(" = A = ", ["one"]))


def test_a_column_that_no_line_of_the_articles_has_is_missed(tmp_path: Path) -> None:
    write(tmp_path, "a.jsonl", jsonl(" = A = ", "one"))
    settings = config(path="jsonl", data_files={"train": "a.jsonl"}, text="body", documents="article")
    with pytest.raises(UserError, match=r'a.jsonl: no column "body"; there is: text'):
        list(read_documents(Source(settings, tmp_path).rows("train"), settings, Tally(), labelled=False))
