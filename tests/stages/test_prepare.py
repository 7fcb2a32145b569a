"""The stage `prepare`: each role is written whole, and the corpora hold none of the task's held-out documents."""

import errno
from pathlib import Path
from typing import Any

import pyarrow.parquet
import pytest

from pipeline.base.errors import UserError
from pipeline.base.files import write_json
from pipeline.text.prepared import read_texts
from stages.prepare import main
from tests.text.small import write

WORDS = [f"word{number}" for number in range(97)]


def document(kind: str, number: int) -> str:
    """A text that no other kind and number has."""
    return " ".join(f"{kind}{WORDS[number * place % len(WORDS)]}{number}" for place in range(1, 30))


@pytest.fixture
def house(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A csv task, whose training file is the domain too, and a generic corpus of lines."""
    rows = "".join(f"{document('task', n)},{'ab'[n % 2]}\n" for n in range(40))
    write(tmp_path, "data/raw/reviews/reviews.csv", "text,label\n" + rows)
    write(tmp_path, "data/raw/lines/lines.txt", "\n".join(document("generic", n) for n in range(50)))
    task: dict[str, Any] = {"path": "csv", "data_files": {"train": "reviews.csv"}, "label": "label", "test": 0.25}
    write_json(tmp_path / "configs/dataset/reviews.yaml", task)
    write_json(tmp_path / "configs/dataset/shown.yaml", {**task, "transductive": True})
    write_json(tmp_path / "configs/dataset/lines.yaml", {"path": "text", "data_files": {"train": "lines.txt"}})
    write_json(tmp_path / "configs/config.yaml", {"task": "reviews", "domain": "reviews", "generic": "lines"})
    monkeypatch.chdir(tmp_path)
    return tmp_path


def texts(role: str, *parts: str) -> set[str]:
    """The documents of prepared parts."""
    return {text for part in parts for text in read_texts(Path(f"data/prepared/{role}/{part}.parquet"))}


def contents(role: str) -> dict[str, bytes]:
    """The files of a role."""
    return {path.name: path.read_bytes() for path in Path("data/prepared", role).iterdir()}


def test_the_domain_is_the_tasks_training_text_alone(house: Path) -> None:
    main("task")
    main("domain")
    assert len(texts("task", "test")) == 10
    assert texts("domain", "train", "validation") == texts("task", "train")


def test_a_transductive_task_leaves_its_text_in_the_corpora(house: Path) -> None:
    (house / "data/raw/shown").symlink_to(house / "data/raw/reviews")
    write_json(house / "configs/config.yaml", {"task": "shown", "domain": "reviews", "generic": "lines"})
    main("task")
    main("domain")
    assert len(texts("domain", "train", "validation")) == 40


def test_another_task_leaves_the_generic_corpus_as_it_is_to_the_byte(house: Path) -> None:
    main("task")
    main("generic")
    before = contents("generic")
    write(house, "data/raw/reviews/reviews.csv", "text,label\n" + "".join(f"other {n},{n % 2}\n" for n in range(30)))
    main("task")
    main("generic")
    assert contents("generic") == before


def test_a_failure_leaves_what_was_prepared_before(house: Path) -> None:
    main("task")
    before = contents("task")
    write(house, "data/raw/reviews/reviews.csv", "text,label\nonly one,a\n")
    with pytest.raises(UserError, match=r"configs/dataset/reviews.yaml: train has one class only"):
        main("task")
    assert contents("task") == before
    assert [path.name for path in Path("data/prepared").iterdir()] == ["task"]


def test_a_full_disk_is_one_line_and_leaves_what_was_prepared_before(
    house: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    main("task")
    main("generic")
    before = contents("generic")

    def write_table(*_: Any) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(pyarrow.parquet.ParquetWriter, "write_table", write_table)
    with pytest.raises(UserError, match=r"data/prepared/generic: the disk is full"):
        main("generic")
    assert contents("generic") == before
    assert sorted(path.name for path in Path("data/prepared").iterdir()) == ["generic", "task"]


def test_a_corpus_before_its_task_and_an_unknown_role_are_refused(house: Path) -> None:
    with pytest.raises(UserError, match=r"data/prepared/task/labels.json: no such file; run the stage"):
        main("generic")
    with pytest.raises(UserError, match=r'"tasks" is no role; did you mean "task"'):
        main("tasks")
