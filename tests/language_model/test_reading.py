"""Promises: a process reads its own part of a step alone; a damaged file is named, also in the middle of a run."""

from pathlib import Path

import numpy as np
import pytest

from pipeline.base.errors import UserError
from pipeline.config.hardware import HardwareConfig
from pipeline.config.language_model import PretrainConfig
from pipeline.config.read import parse
from pipeline.interop.folders import load_language_model
from pipeline.language_model.train import Corpora, LanguageModelRun
from pipeline.shards.read import TokenCorpus
from pipeline.training.place import Place
from tests.workspace import CONFIGS, make

HARDWARE = HardwareConfig(accelerator="cpu", threads=1)
NAMED = r"data/tokens/generic/train/tokens-00000.bin: is damaged .*; run `dvc repro` to make it again"


@pytest.fixture
def pretraining(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> LanguageModelRun:
    monkeypatch.chdir(make(tmp_path / "workspace"))
    config = parse(PretrainConfig, CONFIGS["pretrain"], "pretrain")
    corpora = Corpora.open(Path("data/tokens/generic"))
    return LanguageModelRun("pretrain", "forward", config, HARDWARE, corpora, Path("models/tokenizer/tokenizer.json"))


@pytest.mark.parametrize("world", [1, 2, 4])
def test_a_process_reads_its_own_windows_and_nothing_else(
    pretraining: LanguageModelRun, monkeypatch: pytest.MonkeyPatch, world: int
) -> None:
    network = load_language_model(Path("models/pretrained/forward")).model
    _, _, share = pretraining._prepared(network, None, None, Place(HARDWARE, "fp32"))
    counted: list[int] = []
    read = TokenCorpus.read
    monkeypatch.setattr(
        TokenCorpus, "read", lambda corpus, start, stop: (counted.append(stop - start), read(corpus, start, stop))[1]
    )
    parts = [share(0, 3, rank, world)["windows_BT1"] for rank in range(world)]
    config = pretraining.config
    assert sum(counted) == config.batch_tokens // config.length * (config.length + 1), (
        "each window once, by one process"
    )
    assert {len(part) for part in parts} == {config.batch_tokens // config.length // world}


def overwrite(value: int) -> None:
    """Another token everywhere, in the file that is open already."""
    file = Path("data/tokens/generic/train/tokens-00000.bin")
    tokens = np.memmap(file, dtype="<u2", mode="r+")
    tokens[:] = value
    tokens.flush()


def test_before_training(pretraining: LanguageModelRun) -> None:
    overwrite(7)
    with pytest.raises(UserError, match=NAMED):
        pretraining.train(load_language_model(Path("models/pretrained/forward")).model, None)


def test_in_the_middle_of_a_run(pretraining: LanguageModelRun) -> None:
    network = load_language_model(Path("models/pretrained/forward")).model
    _, _, share = pretraining._prepared(network, None, None, Place(HARDWARE, "fp32"))
    share(0, 0, 0, 1)
    overwrite(65_000)
    with pytest.raises(UserError, match=NAMED):
        share(0, 1, 0, 1)
