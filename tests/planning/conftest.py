"""A house of configs with a tokenised task, from which stages are planned."""

from pathlib import Path
from typing import Any

import pytest

from pipeline.base.files import write_json
from tests.workspace import make

DATASET = {"path": "csv", "data_files": {"train": "all.csv"}, "label": "label"}


@pytest.fixture(scope="session")
def house(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Configs, tokens and labels as a run of the data stages leaves them."""
    folder = make(tmp_path_factory.mktemp("house"))
    write_json(folder / "configs/dataset/tiny.yaml", DATASET)  # JSON is YAML
    write_json(folder / "configs/dataset/none.yaml", {"path": "none"})
    write_json(folder / "configs/tokenizer/tiny.yaml", {"vocabulary": 450})
    return folder


@pytest.fixture
def choices(house: Path, monkeypatch: pytest.MonkeyPatch) -> dict[str, Any]:
    """Its choices, with the house as the current folder."""
    from pipeline.config.chosen import read_choices

    monkeypatch.chdir(house)
    return read_choices()
