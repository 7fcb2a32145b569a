"""Promise: the benchmark of choices has a row for each choice that a config can name, and its rows can be trained."""

import argparse
from dataclasses import fields
from pathlib import Path
from typing import Any, get_args, get_type_hints

import pytest

from benchmarks import choices, common
from pipeline.base.errors import UserError
from pipeline.base.files import read_json
from pipeline.config.language_model import Objective, PretrainConfig
from pipeline.config.read import parse
from pipeline.config.suitable import reading, unsuitable
from pipeline.models.settings import TransformerSettings, settings_schema
from tests.workspace import make

OPTIONS = argparse.Namespace(tokens=8192, layers=1, width=32, heads=4)
CONFIGS = {choice.name: choices.configs_of(choice, OPTIONS) for choice in choices.choices(OPTIONS.width)}


@pytest.mark.parametrize("name", CONFIGS)
def test_every_row_is_a_network_and_an_objective_that_fit(name: str) -> None:
    settings = parse(settings_schema, CONFIGS[name]["model"], name)
    recipe = parse(PretrainConfig, CONFIGS[name]["pretrain"], name)
    assert unsuitable(recipe.objective, reading(settings)) is None


def test_every_value_that_a_config_can_choose_has_a_row() -> None:
    settings = [parse(settings_schema, configs["model"], name) for name, configs in CONFIGS.items()]
    hints = get_type_hints(TransformerSettings)
    for field in fields(TransformerSettings):
        chosen = (True, False) if hints[field.name] is bool else get_args(hints[field.name])
        if isinstance(field.default, bool | str):
            assert {getattr(one, field.name, field.default) for one in settings} >= set(chosen), field.name
    assert {configs["pretrain"].get("objective", "causal") for configs in CONFIGS.values()} == set(get_args(Objective))
    assert {one.backbone for one in settings} == {"transformer", "lstm"}


def test_no_two_rows_are_the_same_and_all_differ_from_the_base_in_what_their_name_says() -> None:
    rows = [(sorted(configs["model"].items()), sorted(configs["pretrain"].items())) for configs in CONFIGS.values()]
    assert [one for number, one in enumerate(rows) if one in rows[:number]] == [rows[-1]]  # its text is read backward
    assert list(CONFIGS)[-1] == "direction: backward"
    assert rows[-1] == rows[0]


@pytest.fixture(scope="module")
def prepared(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make(tmp_path_factory.mktemp("workspace"))


@pytest.mark.parametrize("name", ["positions: t5", "objective: replaced_tokens (family: encoder)", "backbone: lstm"])
def test_a_row_trains_in_the_stage_itself(name: str, prepared: Path) -> None:
    configs = CONFIGS[name]
    short = configs["pretrain"] | {"tokens": 768, "batch_tokens": 256, "validate_every": 3}
    corpus, tokenizer = prepared / "data/tokens/generic", prepared / "models/tokenizer/tokenizer.json"
    here = Path.cwd()
    row = choices.train({"model": configs["model"], "pretrain": short}, "forward", corpus, tokenizer)
    assert Path.cwd() == here
    assert row["parameters"] > 0
    assert row["tokens_per_second"] > 0
    assert row["memory_mb"] > 0
    assert (row["bits_per_byte"] is None) == ("replaced" in name)
    assert 3 < row["loss"] < 9  # near the logarithm of the vocabulary: one loss, not ELECTRA's weighted sum of two


@pytest.mark.slow
def test_the_command_trains_each_row_once_and_names_those_that_learnt_nothing(
    prepared: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(common, "RESULTS", tmp_path)
    data = ("--corpus", str(prepared / "data/tokens/generic"), "--tokenizer")
    words = (*data, str(prepared / "models/tokenizer/tokenizer.json"), "--layers", "1", "--width", "32")
    command = (*words, "--tokens", "2048", "--only", "norm: rmsnorm")
    with pytest.raises(UserError, match=r"unigram entropy.*nats: norm: rmsnorm"):
        choices.main(*command)
    first = read_json(tmp_path / "choices.json")
    assert [row["choice"] for row in first.values()] == ["norm: rmsnorm"]

    def trained(*words: Any) -> None:
        raise AssertionError("a finished row is trained again")

    monkeypatch.setattr(choices, "in_own_process", trained)
    monkeypatch.setattr(choices, "unigram_entropy", lambda corpus: 100.0)
    choices.main(*command, "--markdown")
    assert "| norm: rmsnorm" in capsys.readouterr().out
    assert read_json(tmp_path / "choices.json") == first
    with pytest.raises(AssertionError, match="trained again"):
        choices.main(*command, "--again")


def test_a_corpus_that_is_not_there_is_one_line_that_says_how_to_make_it(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="dvc repro tokenise@generic"):
        choices.main("--corpus", str(tmp_path))
