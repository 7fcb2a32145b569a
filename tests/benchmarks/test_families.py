"""Promise: the benchmark of families takes each down the whole road, trains a language model once, and scores it."""

import shutil
from pathlib import Path

import pyarrow.parquet as pq
import pytest

from benchmarks import common, families
from pipeline.base.errors import UserError
from pipeline.base.files import read_json
from pipeline.config.choices import SCHEMAS
from pipeline.config.read import parse
from pipeline.config.suitable import one_way, reading, unsuitable
from tests.benchmarks import small_families
from tests.workspace import copies, make

HEADERS = ("--pretrain-tokens", "768", "--domain-tokens", "768", "--seeds", "1")


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What a run left behind."""
    return make(tmp_path_factory.mktemp("run"))


@pytest.fixture
def tiny(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Configs with the names that the benchmark asks for, and places for what it writes."""
    small_families.write(tmp_path / "configs")
    monkeypatch.setattr(families, "CONFIGS", tmp_path / "configs")
    monkeypatch.setattr(common, "RESULTS", tmp_path / "results")
    monkeypatch.setattr(common, "DRAWINGS", tmp_path / "drawings")
    return tmp_path


@pytest.mark.parametrize("family", families.FAMILIES, ids=lambda family: family.name)
def test_every_family_names_configs_that_are_there_and_fit(family: families.Family) -> None:
    options = families.options_of(HEADERS)
    configs = families.configs_of(family, 2, options)
    parsed = {key: parse(SCHEMAS[key], values, key) for key, values in configs.items()}
    assert {parsed[key].seed for key in parsed if key not in ("model", "hardware")} == {2}
    for stage in ("pretrain", "finetune_lm"):
        if stage in parsed:
            assert parsed[stage].tokens == 768
            assert unsuitable(parsed[stage].objective, reading(parsed["model"])) is None
    assert family.causal is not False or one_way(reading(parsed["model"])) is None


@pytest.mark.slow
def test_language_models_are_trained_once_and_finished_rows_never_again(
    data: Path, tiny: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    # In this process, which is faster and sees the tiny configs as well.
    monkeypatch.setattr(families, "in_own_process", lambda function, *words: function(*words))
    command = (*HEADERS, "--data", str(data), "--work", str(tiny / "work"), "--markdown")
    families.main(*command)
    printed = capsys.readouterr().out
    for family in families.FAMILIES:
        assert f"| {family.name} " in printed
    assert families.LINEAR in printed
    assert "12 validation documents; 48 labelled ones; 768 generic and 768 domain tokens" in printed
    folders = sorted(path.name.rsplit("-", 1)[0] for path in (tiny / "work").iterdir())
    recipes = {family.recipe or families.FROM_SCRATCH for family in families.FAMILIES}
    assert folders == sorted(f"{recipe}-1" for recipe in recipes)
    rows = read_json(tiny / "results/families.json")
    assert len(rows) == len(families.FAMILIES) + 1
    assert {row["documents"] for row in rows.values()} == {12}
    drawing = (tiny / "drawings/families.svg").read_bytes()

    shutil.rmtree(tiny / "work")
    families.main(*command)
    assert not (tiny / "work").exists()
    assert read_json(tiny / "results/families.json") == rows
    assert (tiny / "drawings/families.svg").read_bytes() == drawing


def test_a_part_without_documents_is_one_line_that_says_what_to_do(data: Path, tiny: Path) -> None:
    folder = copies(data, tiny / "run")
    part = folder / "data/prepared/task/validation.parquet"
    pq.write_table(pq.read_table(part).slice(0, 0), part)
    with pytest.raises(UserError, match="holds no documents; give the task a validation part, or take --score test"):
        families.main("--data", str(folder))
