"""Promise: a stage that needs more memory than the limit fails the benchmark, and no two documents are equal."""

import sys
from itertools import islice
from pathlib import Path

import pytest

from benchmarks import common, larger_than_memory
from pipeline.base.errors import UserError
from pipeline.base.files import read_json

on_linux = pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")


def test_no_two_documents_are_equal() -> None:
    texts = list(islice(larger_than_memory.varied(["one. two. three", "four"]), 12))
    assert len(set(texts)) == 12
    assert all(sorted(text.split(". ")[1:]) in (["one", "three", "two"], ["four"]) for text in texts)


@on_linux
def test_a_stage_beyond_the_limit_is_an_error(tmp_path: Path) -> None:
    (tmp_path / "stages").mkdir()
    (tmp_path / "stages/__init__.py").touch()
    (tmp_path / "stages/greedy.py").write_text(
        "import time\nimport numpy\nheld = numpy.ones(30_000_000)\ntime.sleep(0.3)\n"
    )
    small = larger_than_memory.measured(tmp_path, ("greedy",), 4e9)
    assert 240 < small["peak_mb"] < 1000
    with pytest.raises(UserError, match=r"greedy did not end within 0\.2 GB of data"):
        larger_than_memory.measured(tmp_path, ("greedy",), 0.2e9)


@on_linux
@pytest.mark.slow
def test_every_stage_runs_and_says_its_peak(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(common, "RESULTS", tmp_path / "results")
    words = ["ship", "harbour.", "apples", "orchard.", "soup", "stove.", "nobody", "slept", "until", "morning"]
    texts = [" ".join(words[place % len(words) :] + 3 * words) for place in range(40)]
    monkeypatch.setattr(larger_than_memory, "articles", lambda data, most: texts)
    larger_than_memory.main("--gigabytes", "0.002", "--limit-gigabytes", "8", "--work", str(tmp_path / "work"))
    found = read_json(tmp_path / "results/larger_than_memory.json")
    assert set(found["stages"]) == {"prepare generic", "tokenizer", "tokenise generic", "pretrain forward"}
    assert all(50 < row["peak_mb"] < 8000 for row in found["stages"].values())
    assert found["bytes"] == pytest.approx(2e6, rel=0.2)
    assert (tmp_path / "work/run/models/pretrained/forward/config.json").is_file()
    assert "0.00 GB of text, 8 GB of data for each stage" in capsys.readouterr().out
