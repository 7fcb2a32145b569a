"""benchmarks/attention_cost.py measures every kind of attention, and its verdict names the kind that fails."""

from pathlib import Path

import pytest
import torch

from benchmarks import attention_cost, common
from pipeline.models.attention import ATTENTIONS


@pytest.fixture(autouse=True)
def _elsewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(common, "RESULTS", tmp_path / "results")
    monkeypatch.setattr(common, "DRAWINGS", tmp_path / "drawings")


def test_every_kind_is_measured_at_every_length(tmp_path: Path) -> None:
    attention_cost.main(["--longest", "512", "--repeats", "1"])
    result = common.read_json("attention_cost")
    assert result["lengths"] == [256, 512]
    for unit in ("seconds", "megabytes"):
        assert set(result[unit]) == set(ATTENTIONS)
        assert all(len(values) == 2 and min(values) > 0 for values in result[unit].values())
    assert result["slopes"] == {}  # nothing is judged from points as short as these
    assert (tmp_path / "drawings/attention_cost.svg").stat().st_size > 1000


def test_memory_is_that_of_the_tensors_held_at_once() -> None:
    def run(x_BTD: torch.Tensor) -> None:
        kept = torch.zeros(1000)
        for _ in range(3):
            torch.zeros(5000)  # gone before the next one
        del kept

    assert attention_cost.peak_bytes(run, 256) == 4 * 6000


def test_slope_is_the_exponent_over_the_lengths_that_are_judged() -> None:
    lengths = [256, 512, 1024, 2048, 4096]
    seconds = [9.0, 9.0, *(3e-9 * T**1.5 for T in lengths[2:])]
    assert attention_cost.slope(lengths, seconds) == pytest.approx(1.5)


def test_a_kind_whose_time_grows_wrongly_is_named_and_the_command_fails(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(attention_cost, "JUDGED_FROM", 256)
    monkeypatch.setattr(attention_cost, "LEAST_POINTS", 2)
    monkeypatch.setattr(attention_cost, "SLOPES", dict.fromkeys(ATTENTIONS, (-9.0, 9.0)) | {"performer": (20, 30)})
    with pytest.raises(SystemExit, match=r"^performer: time grows"):
        attention_cost.main(["--longest", "512", "--repeats", "1"])
