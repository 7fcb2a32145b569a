"""Without columns, `ulmfit new-task` shows those of a file and proposes some of them."""

import json
import shlex
from pathlib import Path

import pytest

from pipeline.cli.main import main
from pipeline.cli.task_columns import describe_columns, guess
from pipeline.config.dataset import DatasetConfig
from pipeline.config.read import load
from tests.cli.test_new_task import everything
from tests.text.small import write


def test_without_columns_they_are_shown_and_guessed(house: Path, capsys: pytest.CaptureFixture[str]) -> None:
    write(house, "a b.csv", "id,topic,body\n" + "".join(f"{n},{'xy'[n % 2]},text about {n}\n" for n in range(20)))
    before = everything(house)
    with pytest.raises(SystemExit) as left:
        main(["new-task", "a b.csv"])
    told = capsys.readouterr()
    assert left.value.code == 1
    assert "text about 0" in told.out
    assert "ulmfit new-task 'a b.csv' --text body --label topic" in told.err
    assert everything(house) == before
    assert guess(describe_columns(house / "a b.csv", "csv")) == ("body", "topic")


def test_what_is_proposed_is_accepted_though_columns_hold_lists_and_dicts(
    house: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    rows = [
        {
            "meta": {"topic": "xy"[n % 2], "long": "a" * 99},
            "lines": [f"line {n}", "z" * 50],
            "tags": [["x"], ["x", "y"]][n % 2],
            "body": f"text about {n}",
        }
        for n in range(20)
    ]
    write(house, "a.jsonl", "".join(json.dumps(row) + "\n" for row in rows))
    with pytest.raises(SystemExit):
        main(["new-task", "a.jsonl"])
    command = capsys.readouterr().err.partition("for instance: ")[2]
    assert shlex.split(command) == shlex.split("ulmfit new-task a.jsonl --text body --label tags --separator ,")
    main(shlex.split(command)[1:])
    assert load(DatasetConfig, house / "configs/dataset/a.yaml").multilabel
    write(house, "b.jsonl", "".join(json.dumps({"meta": row["meta"]}) + "\n" for row in rows))
    assert guess(describe_columns(house / "b.jsonl", "jsonl")) == ("COLUMN", "COLUMN")


def test_half_a_character_in_an_example_is_shown_all_the_same(house: Path, capsys: pytest.CaptureFixture[str]) -> None:
    write(house, "cut.jsonl", "".join(json.dumps({"text": f"cut \ud83d {n}", "label": n % 2}) + "\n" for n in range(9)))
    with pytest.raises(SystemExit):
        main(["new-task", "cut.jsonl"])
    assert "cut \ufffd 0" in capsys.readouterr().out
