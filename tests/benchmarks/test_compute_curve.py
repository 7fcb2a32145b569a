"""Promise: each budget of the compute curve trains as many tokens as its minutes are enough for, once."""

from pathlib import Path

import pytest

from benchmarks import common, compute_curve, families
from pipeline.base.errors import UserError
from pipeline.base.files import read_json, write_json
from tests.benchmarks import small_families
from tests.workspace import copies, make, run


def test_budgets_are_whole_steps_a_fifth_of_them_generic() -> None:
    generic, domain = compute_curve.tokens(5, 5000.0)
    assert generic % compute_curve.BATCH == domain % compute_curve.BATCH == 0
    assert generic + domain == pytest.approx(5 * 60 * 5000, abs=compute_curve.BATCH)
    assert generic / (generic + domain) == pytest.approx(0.2, abs=0.01)
    assert min(compute_curve.tokens(1e-6, 1.0)) == compute_curve.BATCH


@pytest.mark.slow
def test_the_curve_has_a_point_for_each_budget_beside_the_linear_models(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    data = copies(make(tmp_path / "run"), tmp_path / "data")
    run(data, "lsa")
    for stage in ("pretrain", "finetune_lm"):
        write_json(data / f"results/{stage}/forward/run.json", {"tokens_per_second": 100.0})
    small_families.write(tmp_path / "configs")
    monkeypatch.setattr(families, "CONFIGS", tmp_path / "configs")
    monkeypatch.setattr(common, "RESULTS", tmp_path / "results")
    monkeypatch.setattr(common, "DRAWINGS", tmp_path / "drawings")
    monkeypatch.setattr(compute_curve, "BATCH", 256)
    monkeypatch.setattr(compute_curve, "in_own_process", lambda function, *words: function(*words))
    words = ("--minutes", "0.1", "0.2", "--data", str(data), "--work", str(tmp_path / "work"), "--markdown")
    compute_curve.main(*words)
    printed = capsys.readouterr().out
    rows = read_json(tmp_path / "results/compute_curve.json")
    points = sorted((row["minutes"], row["tokens"]) for row in rows.values() if "tokens" in row)
    assert points == [(0.1, 512), (0.2, 1280)]
    for name in ("0.1 minutes", "0.2 minutes", "TF-IDF + logistic regression", "NB-SVM"):
        assert f"| {name} " in printed
    drawing = (tmp_path / "drawings/compute_curve.svg").read_bytes()
    compute_curve.main(*words)
    assert read_json(tmp_path / "results/compute_curve.json") == rows
    assert (tmp_path / "drawings/compute_curve.svg").read_bytes() == drawing


def test_without_a_run_one_line_says_what_to_do(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"run\.json: no such file; run the pipeline there first"):
        compute_curve.main("--data", str(tmp_path))
