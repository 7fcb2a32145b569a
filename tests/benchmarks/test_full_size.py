"""Promise: the full-size recipe goes on where its time was over, and scores the network that the stages made."""

from pathlib import Path

import numpy as np
import pytest

from benchmarks import common, full_size
from pipeline.base.errors import Stopped, UserError
from pipeline.base.files import read_json
from pipeline.inference.predictor import Predictor
from pipeline.text.prepared import read_labels, read_texts

pytestmark = pytest.mark.slow
TINY = ("--preset", "tiny", "--generic", "embedded_tiny_generic", "--domain", "embedded_tiny_domain")
TINY += ("--task", "example_tickets")


def test_it_goes_on_to_a_table_and_makes_nothing_twice(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(common, "RESULTS", tmp_path / "results")
    words = (*TINY, "--work", str(tmp_path / "work"))
    with pytest.raises(Stopped, match="the time is over in prepare; run the same command again"):
        full_size.main(*words, "--minutes", "0")
    full_size.main(*words)
    printed = capsys.readouterr().out
    found = read_json(tmp_path / "results/full_size_tiny.json")
    test = tmp_path / "work/data/prepared/task/test.parquet"
    said = Predictor.load(tmp_path / "work/models/classifier/forward").predict_proba(list(read_texts(test)))
    assert found["accuracy"] == pytest.approx(np.mean(said.argmax(axis=1) == list(read_labels(test))))
    assert f"accuracy {found['accuracy']:.4f} on {found['documents']:,} test documents" in printed
    seconds = [run["seconds"] for run in found["stages"].values()]
    assert found["minutes"] == pytest.approx(sum(seconds) / 60)
    full_size.main(*words)
    assert "finetune_classifier forward" not in capsys.readouterr().out
    with pytest.raises(UserError, match="holds a run of other choices"):
        full_size.main(*words, "--preset", "default")


def test_an_unknown_preset_is_one_line(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"--preset hour: there is none of that name; take one of .*imdb_hour"):
        full_size.main("--preset", "hour", "--work", str(tmp_path))
