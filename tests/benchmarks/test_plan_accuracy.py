"""Promise: the benchmark of the plan predicts a row from the base's share of peak and the plan's own formulas."""

import pytest

from benchmarks.plan_accuracy import BASE, SHAPES, cells, predicted, stage_of
from tests.source import ROOT


def test_the_base_predicts_itself(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(ROOT)
    stage = stage_of(BASE)
    peak, bandwidth, share = 5e10, 1e10, 0.3
    update = stage.phases[0].update
    tokens = BASE.sequences * stage.length
    flops = tokens * stage.phases[0].flops.both + update.flops
    seconds = flops / (share * peak) + update.bytes / bandwidth
    row = {"sequences": BASE.sequences, "peak": peak, "bandwidth": bandwidth, "share": share}
    row |= {"tokens_per_second": tokens / seconds, "memory_mb": 800.0, "predicted_memory_mb": 1000.0}
    assert predicted(BASE, row, row) == pytest.approx(tokens / seconds)
    assert cells(BASE, row, row)[4::3] == ["+0%", "+25%"]


@pytest.mark.parametrize("shape", SHAPES, ids=lambda shape: shape.name)
def test_every_row_is_a_network_and_a_recipe_that_fit(shape: object, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(ROOT)
    assert stage_of(shape).sequences == shape.sequences  # type: ignore[arg-type, attr-defined]
