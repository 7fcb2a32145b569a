"""`ulmfit lr-find` trains each stage at a climbing rate, shows it, and changes nothing."""

import csv
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from pipeline.training.rate_search import LOWEST
from tests.workspace import contents, copies, environment, make, run

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def workspace(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """All that any of the stages starts from."""
    folder = make(tmp_path_factory.mktemp("workspace"), self_train={"epochs": 12})
    for stage in (("finetune_classifier", "forward"), ("blend",)):
        run(folder, *stage)
    shutil.rmtree(folder / "results")
    return folder


def lr_find(folder: Path, *words: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "pipeline.cli.main", "lr-find", *words]
    return subprocess.run(command, cwd=folder, env=environment(), capture_output=True, text=True, check=False)


@pytest.mark.parametrize("stage", ["pretrain", "finetune_lm", "finetune_classifier", "self_train", "scratch"])
def test_every_stage_shows_its_losses_and_keeps_its_weights(stage: str, workspace: Path) -> None:
    before = contents(workspace / "models")
    done = lr_find(workspace, stage)
    assert done.returncode == 0, done.stderr
    found = workspace / "results/lr_find" / stage / "forward"
    rows = list(csv.DictReader((found / "curve.csv").read_text(encoding="utf-8").splitlines()))
    assert float(rows[0]["learning_rate"]) == pytest.approx(LOWEST)
    assert len(rows) > 50
    assert (found / "curve.svg").read_text(encoding="utf-8").count("learning rate") >= 1
    assert str(found.relative_to(workspace) / "curve.svg") in done.stdout
    assert contents(workspace / "models") == before
    assert not (workspace / "results" / stage).exists()
    assert not list(workspace.glob(".resume/*"))


def test_a_stage_that_trains_nothing_says_so_in_one_line(workspace: Path) -> None:
    config = workspace / "configs/pretrain/tiny.yaml"
    before = config.read_text(encoding="utf-8")
    config.write_text('{"start": "folder"}', encoding="utf-8")
    choices = workspace / "configs/config.yaml"
    said = choices.read_text(encoding="utf-8")
    choices.write_text(said.replace('"none"', '"../../models/domain/forward"'), encoding="utf-8")
    done = lr_find(workspace, "pretrain")
    config.write_text(before, encoding="utf-8")
    assert done.returncode == 1
    assert done.stderr.startswith("error: pretrain trains nothing here (taken from ")
    assert done.stderr.count("\n") == 1


def test_a_student_that_there_is_not_says_so_in_one_line(workspace: Path, tmp_path: Path) -> None:
    folder = copies(workspace, tmp_path / "workspace")
    (folder / "configs/self_train/tiny.yaml").write_text("documents: 0\n", encoding="utf-8")
    done = lr_find(folder, "self_train")
    assert done.returncode == 1
    assert "this stage trains nothing here (" in done.stderr
    assert done.stderr.count("\n") == 1
    assert not (folder / "models/classifier/student").exists()


def test_a_direction_that_is_not_chosen_is_to_be_chosen_first(workspace: Path) -> None:
    """To run the stages before it again, as other refusals advise, would not make it."""
    done = lr_find(workspace, "finetune_lm", "--direction", "backward")
    assert done.returncode == 1
    assert done.stderr == (
        "error: configs/config.yaml: `directions: [forward]` leaves out backward; add it with "
        '`ulmfit use "directions=[forward, backward]"`, then run `dvc repro pretrain tokenise@domain`\n'
    )


def test_a_stage_that_is_not_there_is_named(workspace: Path) -> None:
    done = lr_find(workspace, "evaluate")
    assert done.returncode == 1
    assert "invalid choice: 'evaluate'" in done.stderr
