"""Promise: a plan counts the tokens and steps that the stages would really take, and says what it cannot know."""

import io
from contextlib import redirect_stdout
from dataclasses import replace
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import torch
from ruamel.yaml import YAML

from pipeline.base.files import read_json, write_json
from pipeline.config.read import read_yaml
from pipeline.planning.devices import DEVICES
from pipeline.planning.plan import plan
from pipeline.planning.prepared import MISSING
from pipeline.planning.scaling import forecast
from pipeline.planning.stage import Stage
from pipeline.planning.stages import stages_of
from tests.source import ROOT
from tests.workspace import copies


def by_name(choices: dict[str, Any]) -> dict[str, Stage]:
    return {stage.name: stage for stage in stages_of(choices)}


def test_language_models_read_their_budget_and_measure_on_the_way(choices: dict[str, Any]) -> None:
    stage = by_name(choices)["pretrain"]
    assert (stage.steps, stage.tokens, stage.sequences) == (25, 6400, 8)
    validation = read_json(Path("data/tokens/generic/validation/index.json"))["tokens"]
    assert stage.read_only == 4 * validation  # at the start, after 10 and 20 steps, at the end
    assert stage.vocabulary == read_json(Path("data/tokens/generic/train/index.json"))["vocabulary"]


def test_a_classifier_reads_what_its_run_then_reads(
    choices: dict[str, Any], house: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from stages import finetune_classifier

    stage = by_name(choices)["finetune_classifier"]
    monkeypatch.chdir(copies(house, tmp_path / "run"))
    with redirect_stdout(io.StringIO()):
        finetune_classifier.main("forward")
    metrics = read_json(Path("results/finetune_classifier/forward/metrics.json"))
    assert (stage.steps, len(stage.phases), stage.parameters) == (
        metrics["steps"],
        metrics["phases"],
        metrics["parameters"],
    )
    assert stage.tokens == pytest.approx(metrics["tokens"], rel=0.02)  # which documents end a broken epoch


def test_a_student_reads_the_labelled_documents_and_the_domains(choices: dict[str, Any]) -> None:
    stages = by_name(choices)
    labelled = read_json(Path("data/tokens/task/train/index.json"))["documents"]
    per_pass = -(-(labelled + 80) // 8)
    assert [phase.steps for phase in stages["self_train"].phases][-1] == 2 * per_pass
    assert stages["self_train"].parameters == stages["finetune_classifier"].parameters
    write_json(Path("configs/self_train/tiny.yaml"), {"documents": 0})
    without = by_name(choices)["self_train"]
    assert (without.phases, without.note) == ((), "`documents: 0`: no student")
    write_json(Path("configs/self_train/tiny.yaml"), {"documents": 10})
    assert by_name(choices)["self_train"].note == f"`documents: 10` for {labelled} labelled ones: no student"


def test_two_directions_are_twice_the_work_of_one_but_for_the_comparison(choices: dict[str, Any]) -> None:
    one, two = by_name(choices), by_name(choices | {"directions": ["forward", "backward"]})
    for name in one:
        times = 1 if name == "scratch" else 2
        assert (two[name].steps, two[name].tokens) == (times * one[name].steps, times * one[name].tokens), name
        assert two[name].flops == pytest.approx(times * one[name].flops), name


def test_a_blend_trains_once_for_each_part_unless_a_validation_part_judges(
    choices: dict[str, Any], house: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(copies(house, tmp_path / "blends"))
    write_json(Path("configs/blend/tiny.yaml"), {"folds": 4})
    whole, blend = (by_name(choices)[name] for name in ("finetune_classifier", "blend"))
    assert blend.tokens == pytest.approx(3 * whole.tokens, rel=0.1)
    write_json(Path("configs/blend/tiny.yaml"), {"enough": 1})
    assert by_name(choices)["blend"].note.endswith("validation documents judge the blend")
    write_json(Path("configs/blend/tiny.yaml"), {"weight": "none"})
    assert by_name(choices)["blend"].phases == ()


def test_documents_that_are_labelled_for_a_blend_and_a_student_are_counted(
    choices: dict[str, Any], house: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def tokens(corpus: str) -> int:
        return int(read_json(Path("data/tokens") / corpus / "index.json")["tokens"])

    monkeypatch.chdir(copies(house, tmp_path / "labels"))
    write_json(Path("configs/blend/tiny.yaml"), {"folds": 4, "documents": 10**6})
    write_json(Path("configs/self_train/tiny.yaml"), {"documents": 10**6})
    write_json(
        Path("configs/classifier/tiny.yaml"), read_json(Path("configs/classifier/tiny.yaml")) | {"max_tokens": 10**6}
    )
    stages = by_name(choices)
    assert stages["blend"].read_only == tokens("task/train") + 5 * tokens("domain/train")  # four folds, and the whole
    measured = (len(stages["self_train"].phases) + 1) * tokens("task/validation")
    assert stages["self_train"].read_only == tokens("domain/train") + measured


def test_a_classifier_is_measured_before_and_after_each_phase(choices: dict[str, Any]) -> None:
    stage = by_name(choices)["finetune_classifier"]
    validation = read_json(Path("data/tokens/task/validation/index.json"))["tokens"]
    assert stage.read_only == (len(stage.phases) + 1) * validation


def test_phases_of_gradual_unfreezing_cost_more_and_more(choices: dict[str, Any]) -> None:
    phases = by_name(choices)["finetune_classifier"].phases
    backward = [phase.flops.backward for phase in phases]
    assert backward[0] == 0  # the head alone
    assert sorted(backward) == backward
    assert len({phase.flops.forward for phase in phases}) == 1


def test_tokens_of_a_task_that_is_not_prepared_are_said_to_be_missing(
    choices: dict[str, Any], house: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(copies(house, tmp_path / "fresh"))
    Path("data/tokens/task/train/index.json").unlink()
    stage = by_name(choices)["finetune_classifier"]
    assert (stage.known, stage.note, stage.tokens) == (False, MISSING, 0)
    assert forecast(stage, DEVICES["h100"], "bf16", 1, None).tokens_per_second > 0


def test_tokens_of_another_choice_do_not_count(
    choices: dict[str, Any], house: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(copies(house, tmp_path / "locked"))
    files = {"prepare_task": "configs/dataset/tiny.yaml", "tokenizer": "configs/tokenizer/tiny.yaml"}
    stages = {stage: {"params": {file: read_yaml(Path(file))}} for stage, file in files.items()}
    with Path("dvc.lock").open("w", encoding="utf-8") as lock:
        YAML().dump({"stages": stages}, lock)
    assert by_name(choices)["scratch"].known
    settings = read_json(Path("configs/dataset/tiny.yaml"))
    write_json("configs/dataset/other.yaml", settings)
    assert not by_name(choices | {"task": "other"})["scratch"].known
    write_json("configs/dataset/tiny.yaml", settings | {"max_documents": 9})
    assert not by_name(choices)["scratch"].known


def test_tokens_that_are_older_than_what_was_prepared_are_not_known(
    choices: dict[str, Any], house: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As between `dvc repro prepare_task` and `dvc repro tokenise`, of as many documents too."""
    monkeypatch.chdir(copies(house, tmp_path / "stale"))
    params = {"prepare_task": "configs/dataset/tiny.yaml", "tokenizer": "configs/tokenizer/tiny.yaml"}
    outs = {"prepare_task": "data/prepared/task", "tokenizer": "models/tokenizer"}

    def lock(of_tokens: dict[str, str]) -> None:
        stages: dict[str, Any] = {
            stage: {"params": {file: read_yaml(Path(file))}, "outs": [{"path": outs[stage], "md5": f"{stage}'s"}]}
            for stage, file in params.items()
        }
        stages["tokenise@task"] = {"deps": [{"path": path, "md5": md5} for path, md5 in of_tokens.items()]}
        with Path("dvc.lock").open("w", encoding="utf-8") as file:
            YAML().dump({"stages": stages}, file)

    fresh = {path: f"{stage}'s" for stage, path in outs.items()}
    lock(fresh)
    assert by_name(choices)["finetune_classifier"].known
    for stale in outs.values():
        lock(fresh | {stale: "another"})
        assert (by_name(choices)["finetune_classifier"].known, by_name(choices)["scratch"].note) == (False, MISSING)


def test_tokens_of_fewer_documents_than_were_prepared_are_not_known(
    choices: dict[str, Any], house: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(copies(house, tmp_path / "by hand"))
    for part in ("train", "validation"):
        file = Path(f"data/prepared/task/{part}.parquet")
        whole = file.read_bytes()
        pq.write_table(pa.concat_tables([pq.read_table(file)] * 2), file)
        assert (by_name(choices)["finetune_classifier"].known, by_name(choices)["scratch"].note) == (False, MISSING)
        file.write_bytes(whole)
    assert by_name(choices)["scratch"].known


def test_stages_that_train_nothing_say_why(choices: dict[str, Any]) -> None:
    found = by_name(choices | {"generic": "none", "domain": "none"})
    assert (found["pretrain"].phases, found["pretrain"].note) == ((), "no generic corpus")
    assert (found["finetune_lm"].phases, found["finetune_lm"].note) == ((), "no domain corpus")
    assert plan(choices | {"generic": "none"}, "h100", [1]).to_json()["stages"]["pretrain"]["forecasts"] == []


# One of each kind, and a recipe for it; tests/planning/test_parameters.py counts every shipped one.
MODELS = {"awd_lstm": "small_lstm", "electra_small": "small_masked", "gopher_280b": "small", "t5_11b": "small_spans"}


@pytest.mark.parametrize(("name", "chosen"), MODELS.items(), ids=list(MODELS))
def test_the_largest_network_is_planned_without_its_weights(
    name: str, chosen: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    from pipeline.config.chosen import read_choices

    monkeypatch.chdir(ROOT)
    recipe = dict.fromkeys(("pretrain", "finetune_lm"), chosen)
    stage = stages_of(read_choices() | recipe | {"model": name, "task": "imdb"})[0]
    assert all(parameter.device == torch.device("meta") for parameter in stage.trainee.parameters())
    alone = forecast(stage, DEVICES["h100"], "bf16", 1, None)
    assert alone.seconds > 0
    assert alone.memory.weights == 4 * stage.parameters
    assert alone.fits == (not alone.remedy)
    assert replace(stage, note="").flops > stage.tokens * 3 * stage.phases[0].flops.forward * 0.99
