"""Promises to a DVC user, kept on the tiny preset in a clone of the repository: `dvc repro` and what follows it."""

import csv
import json
from pathlib import Path

import pytest

from tests.e2e.clones import call, clone
from tests.workspace import contents

# One worker runs them all, on one clone.
pytestmark = [pytest.mark.slow, pytest.mark.timeout(900), pytest.mark.xdist_group("repro")]

TINY_STAGES = 18


def stages_run(output: str) -> list[str]:
    """Names of the stages that a `dvc repro` ran, in order."""
    return [line.split("'")[1] for line in output.splitlines() if line.startswith("Running stage '")]


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A clone in which `dvc repro` has run once on the tiny preset."""
    folder = clone(tmp_path_factory.mktemp("e2e") / "clone")
    first = call(folder, "dvc", "repro")
    assert len(stages_run(first.stdout)) == TINY_STAGES
    return folder


def test_the_second_repro_runs_nothing(project: Path) -> None:
    assert stages_run(call(project, "dvc", "repro").stdout) == []


def test_the_results_table_names_every_system_and_the_report(project: Path) -> None:
    printed = call(project, "ulmfit", "results").stdout
    for system in ("pipeline", "not pretrained", "TF-IDF", "NB-SVM", "majority"):
        assert system in printed
    assert "results/report/index.html" in printed


def test_metrics_plots_and_parameters_do_what_a_dvc_user_expects(project: Path) -> None:
    shown = json.loads(call(project, "dvc", "metrics", "show", "--json").stdout)
    names = shown[""]["data"]
    assert "accuracy" in json.dumps(names["results/evaluate/metrics.json"])
    call(project, "dvc", "plots", "show", "--out", "dvc_plots")
    page = (project / "dvc_plots/index.html").read_text(encoding="utf-8")
    for title in ("Pretraining, loss", "Domain fine-tuning", "Classifier, learning rate", "Confusion", "Calibration"):
        assert title in page
    config = project / "configs/classifier/tiny.yaml"
    before = config.read_text(encoding="utf-8")
    config.write_text(before.replace("epochs: 2", "epochs: 3", 1), encoding="utf-8")
    assert "epochs" in call(project, "dvc", "params", "diff").stdout
    config.write_text(before, encoding="utf-8")


def test_a_change_of_the_classifier_runs_no_language_model(project: Path) -> None:
    code = project / "pipeline/classifier/heads.py"
    before = code.read_text(encoding="utf-8")
    code.write_text(before + "\n# changed\n", encoding="utf-8")
    planned = call(project, "dvc", "repro", "--dry").stdout
    code.write_text(before, encoding="utf-8")
    assert "finetune_classifier@forward" in stages_run(planned)
    assert not {name for name in stages_run(planned) if name.startswith(("pretrain", "finetune_lm", "tokenise"))}


def test_a_change_of_the_evaluation_trains_nothing(project: Path) -> None:
    code = project / "pipeline/evaluation/metrics.py"
    before = code.read_text(encoding="utf-8")
    code.write_text(before + "\n# changed\n", encoding="utf-8")
    planned = stages_run(call(project, "dvc", "repro", "--dry").stdout)
    code.write_text(before, encoding="utf-8")
    assert set(planned) <= {"blend", "evaluate", "baselines", "report"}
    assert "evaluate" in planned


def test_a_bad_choice_stops_everything_with_one_line(project: Path) -> None:
    choices = project / "configs/config.yaml"
    before = choices.read_text(encoding="utf-8")
    choices.write_text(before.replace("classifier: tiny", "classifier: tinny"), encoding="utf-8")
    done = call(project, "dvc", "repro", check=False)
    choices.write_text(before, encoding="utf-8")
    assert done.returncode != 0
    errors = [line for line in done.stderr.splitlines() if line.startswith("error: ")]
    assert len(errors) == 1
    assert "tinny" in errors[0]
    assert 'did you mean "tiny"' in errors[0]
    assert "Traceback" not in done.stderr
    assert stages_run(call(project, "dvc", "repro").stdout) == []


def test_a_swapped_task_keeps_the_pretrained_model_and_comes_back_from_the_cache(project: Path) -> None:
    task = "configs/config.yaml:task=embedded_task"
    swapped = call(project, "dvc", "exp", "run", "--set-param", task)
    ran = stages_run(swapped.stdout)
    assert "prepare_task" in ran
    assert "finetune_classifier@forward" in ran
    assert "pretrain@forward" not in ran
    back = call(project, "dvc", "exp", "run", "--set-param", task.replace("embedded_task", "example_tickets"))
    # DVC writes config.yaml in its own style, so `check` (a constant) and the page look again; the rest is cached.
    assert set(stages_run(back.stdout)) <= {"check", "report"}


def test_queued_experiments_run_beside_the_workspace_and_are_compared(project: Path) -> None:
    call(project, "git", "add", "--all")
    call(project, "git", "commit", "--quiet", "--allow-empty", "--message", "run")
    rates = ("0.001", "0.002")
    for rate in rates:
        setting = f"configs/classifier/tiny.yaml:learning_rate={rate}"
        call(project, "dvc", "exp", "run", "--queue", "--name", f"rate-{rate[-1]}", "--set-param", setting)
    assert "rate-1" in call(project, "dvc", "queue", "status").stdout
    before = contents(project / "models")
    call(project, "dvc", "exp", "run", "--run-all")
    assert contents(project / "models") == before, "an experiment changed the workspace"
    shown = call(project, "dvc", "exp", "show", "--csv").stdout
    rows = {row["Experiment"]: row for row in csv.DictReader(shown.splitlines())}
    for rate in rates:
        row = rows[f"rate-{rate[-1]}"]
        assert row["configs/classifier/tiny.yaml:learning_rate"] == rate
        assert 0 <= float(row["systems.pipeline.accuracy"]) <= 1


def test_push_and_pull_bring_the_model_to_another_folder(project: Path, tmp_path: Path) -> None:
    remote = tmp_path / "remote"
    call(project, "dvc", "remote", "add", "--force", "--local", "--default", "store", str(remote))
    call(project, "dvc", "push")
    assert any(remote.rglob("*"))
    call(project, "git", "add", "--all")
    call(project, "git", "commit", "--quiet", "--allow-empty", "--message", "run")
    other = tmp_path / "other"
    call(tmp_path, "git", "clone", "--quiet", str(project), str(other))
    call(other, "dvc", "remote", "add", "--local", "--default", "store", str(remote))
    call(other, "dvc", "pull")
    assert contents(other / "models") == contents(project / "models")
    assert stages_run(call(other, "dvc", "repro").stdout) == []


def test_the_same_bytes_in_another_folder(project: Path, tmp_path: Path) -> None:
    other = clone(tmp_path / "elsewhere" / "another name")
    call(other, "dvc", "repro", "self_train@forward")
    for out in ("data/prepared", "data/tokens", "models/pretrained", "models/domain", "models/classifier"):
        assert contents(other / out) == contents(project / out), f"{out} differs"
