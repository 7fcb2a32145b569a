"""Promise: a damaged token file is named, with what to do, before training and in the middle of it."""

from pathlib import Path

import numpy as np
import pytest

from pipeline.base.errors import UserError
from pipeline.config.hardware import HardwareConfig
from pipeline.config.language_model import PretrainConfig
from pipeline.config.read import parse
from pipeline.interop.folders import load_language_model
from pipeline.language_model.train import Corpora, LanguageModelRun
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
