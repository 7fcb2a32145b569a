"""Promises of `ulmfit predict` about labels: what a format could not show apart is refused before it is written."""

import csv
import json
from collections.abc import Iterator
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import torch

from pipeline.cli.main import main
from tests.classifier.small import saved


@pytest.fixture(autouse=True)
def _threads() -> Iterator[None]:
    """The command sets torch's threads, which other tests share."""
    before = torch.get_num_threads()
    yield
    torch.set_num_threads(before)


@pytest.mark.parametrize("form", ["csv", "tsv", "lines", "jsonl", "json", "parquet"])
def test_several_labels_can_be_told_apart_or_are_refused_before_anything_is_written(
    form: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("tests.classifier.small.LABELS", ("harbour", "kitchen; oven", "city"))
    several, one = saved(tmp_path / "several", multilabel=True), saved(tmp_path / "one")
    file, out = tmp_path / f"in.{form}", tmp_path / "out"
    file.write_text({"jsonl": '{"text": "a"}\n', "json": '[{"text": "a"}]'}.get(form, "text\na\n"))
    if form == "parquet":
        pq.write_table(pa.table({"text": ["a"]}), file)
    words = ["predict", str(file), "--format", form, "--output", str(out), "--model"]
    if form in ("csv", "tsv", "lines"):
        with pytest.raises(SystemExit):
            main([*words, str(several)])
        said = capfd.readouterr().err.splitlines()
        assert said[-1].endswith(
            f'{file}: label `kitchen; oven` holds ";", which stands between several labels of a '
            "text in csv, tsv and lines; give the texts as jsonl, which has lists"
        )
        assert (len(said), out.exists()) == (1, False)
        several = one
    main([*words, str(several)])
    assert out.stat().st_size > 0


@pytest.mark.parametrize("label", ["late\tdelivery", "late\ndelivery", "late\rdelivery"])
def test_a_label_that_lines_cannot_hold_is_refused_there_and_quoted_elsewhere(
    label: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("tests.classifier.small.LABELS", ("harbour", label, "city"))
    folder = saved(tmp_path / "classifier")
    for form, content in {"csv": "text\na\n", "jsonl": '{"text": "a"}\n', "lines": "a\n"}.items():
        (tmp_path / form).write_text(content)
    words = ["--output", str(tmp_path / "out"), "--model", str(folder), "--all-probabilities", "--format"]
    with pytest.raises(SystemExit):
        main(["predict", str(tmp_path / "lines"), *words, "lines"])
    said = capfd.readouterr().err
    assert said.endswith(
        f"lines: label {label!r} holds a tab or a line break, which stand between fields and rows in lines; "
        "give the texts as csv or jsonl, which have quotes\n"
    )
    assert (len(said.splitlines()), (tmp_path / "out").exists()) == (1, False)
    main(["predict", str(tmp_path / "jsonl"), *words, "jsonl"])
    assert f"probability_{label}" in json.loads((tmp_path / "out").read_text())
    main(["predict", str(tmp_path / "csv"), *words, "csv"])
    with (tmp_path / "out").open(newline="", encoding="utf-8") as file:
        assert f"probability_{label}" in next(csv.reader(file))
