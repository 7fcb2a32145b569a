"""A search for a learning rate ends where the loss does, and hides nothing else that ends it."""

import csv
import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from pipeline.base.errors import UserError
from pipeline.classifier.data import InMemory, LabelledDocuments
from pipeline.classifier.network import classifier_network
from pipeline.classifier.train import ClassifierTraining
from pipeline.config.classifier import ClassifierConfig
from pipeline.config.hardware import HardwareConfig
from pipeline.models.build import build
from pipeline.models.settings import TransformerSettings
from tests.classifier.small import VOCABULARY, documents

CONFIG = ClassifierConfig(
    batch_documents=4, learning_rate=0.01, head_width=0, head_dropout=(0.0,), chunk_tokens=16, max_tokens=64,
    precision="fp32",
)  # fmt: skip
PLACE = HardwareConfig(accelerator="cpu", threads=1, micro_batch=4)
Search = Callable[[Callable[[dict[str, Any]], None]], None]
CURVE = Path("results/curve.csv")
BAD_STEP = 12


@pytest.fixture
def search(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Search:
    """A search whose thirteenth step is spoilt."""
    monkeypatch.chdir(tmp_path)

    def run(spoil: Callable[[dict[str, Any]], None]) -> None:
        settings = TransformerSettings(layers=1, width=16, heads=2, feedforward=32, max_positions=32)
        network = classifier_network(build(settings, VOCABULARY, seed=1), CONFIG, classes=2)
        given = LabelledDocuments(InMemory(documents(5, 9, 12, 20)), torch.tensor([0, 1, 0, 1]))
        share = ClassifierTraining._share

        def spoilt(training: ClassifierTraining, plan: Any, phase: int, step: int, *others: int) -> dict[str, Any]:
            batch = share(training, plan, phase, step, *others)
            if step == BAD_STEP:
                spoil(batch)
            return batch

        monkeypatch.setattr(ClassifierTraining, "_share", spoilt)
        none = given.subset(np.zeros(0, dtype=np.int64))
        ClassifierTraining(network, given, none, CONFIG, PLACE).search_rates(CURVE)

    return run


def test_a_loss_that_is_no_number_ends_the_search_with_the_curve_up_to_it(search: Search) -> None:
    search(lambda batch: batch.update(denominator=math.nan))
    assert len(list(csv.DictReader(CURVE.read_text(encoding="utf-8").splitlines()))) == BAD_STEP


def test_anything_else_that_ends_the_search_is_told(search: Search) -> None:
    def damaged(_: dict[str, Any]) -> None:
        raise UserError("tokens-00000.bin: is damaged")

    with pytest.raises(UserError, match=r"tokens-00000\.bin: is damaged"):
        search(damaged)
    assert not CURVE.exists()
