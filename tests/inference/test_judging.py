"""Promises of the blend's judging: a stop costs no finished training, and one network at a time is in memory."""

import gc
import weakref
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from pipeline.classifier.data import Task
from pipeline.classifier.network import ClassifierNetwork, classifier_network
from pipeline.config.classifier import ClassifierConfig
from pipeline.config.hardware import HardwareConfig
from pipeline.config.read import parse
from pipeline.inference.held_out import HeldOut
from pipeline.inference.judging import judge_in_parts
from pipeline.interop.folders import load_language_model, save_language_model
from pipeline.linear.blend import Judged
from pipeline.linear.learners import Learners
from pipeline.linear.selection import folds
from pipeline.text.prepared import read_texts
from pipeline.training import run as training
from tests.workspace import CONFIGS, make

SHORT = {"unfreeze": "full", "epochs": 1}
DIRECTIONS = ("forward", "backward")


@pytest.fixture(scope="module")
def workspace(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A language model of each direction, and what classifiers are trained on."""
    folder = make(tmp_path_factory.mktemp("workspace"))
    start = load_language_model(folder / "models/domain/forward")
    save_language_model(folder / "models/domain/backward", start.model, direction="backward", tokenizer=start.tokenizer)
    return folder


@pytest.fixture
def starts(workspace: Path) -> list[tuple[Path, Task]]:
    """As `judge_in_parts` has them."""
    prepared, tokens = workspace / "data/prepared/task", workspace / "data/tokens/task"
    return [
        (workspace / "models/domain" / one, Task.open(prepared, tokens, reverse=one == "backward"))
        for one in DIRECTIONS
    ]


@pytest.fixture
def trainings(workspace: Path, starts: list[tuple[Path, Task]], tmp_path: Path) -> HeldOut:
    """Of two folds, with unlabelled documents beside them."""
    config = parse(ClassifierConfig, CONFIGS["classifier"] | SHORT, "classifier")
    hardware = parse(HardwareConfig, CONFIGS["hardware"], "hardware")
    texts = list(read_texts(workspace / "data/prepared/task/train.parquet"))
    parts = folds(starts[0][1].train.targets.numpy(), 2, 1)
    beside = list(read_texts(workspace / "data/prepared/domain/train.parquet"))[:20]
    return HeldOut(config, hardware, texts, parts, resume=tmp_path / "resume", beside=beside)


@pytest.fixture
def fits(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """One entry for each phase that was trained, or trained on."""
    counted, real = [], training._fit

    def fit(*words: Any) -> None:
        counted.append(1)
        real(*words)

    monkeypatch.setattr(training, "_fit", fit)
    return counted


def test_a_stop_while_the_linear_models_train_costs_no_training_of_either_direction(
    trainings: HeldOut, starts: list[tuple[Path, Task]], fits: list[int], monkeypatch: pytest.MonkeyPatch
) -> None:
    trainings = replace(trainings, beside=())
    given = starts[0][1].train.targets.numpy()

    def judged() -> Judged:
        with ExitStack() as kept:
            return judge_in_parts(trainings, starts, given, Learners(3, True), kept)

    def stopped(*_: object) -> Iterator[None]:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr("pipeline.inference.judging.held_out", stopped)
        with pytest.raises(KeyboardInterrupt):
            judged()
    assert len(fits) == 2 * len(DIRECTIONS)
    after = judged()
    assert len(fits) == 2 * len(DIRECTIONS)
    assert not list(trainings.resume.glob("*"))
    undisturbed = judged()
    assert len(fits) == 4 * len(DIRECTIONS)
    np.testing.assert_array_equal(after.network_NC, undisturbed.network_NC)


def test_the_network_of_a_part_is_gone_before_the_next_one_is_made(
    trainings: HeldOut, starts: list[tuple[Path, Task]], monkeypatch: pytest.MonkeyPatch
) -> None:
    made: list[weakref.ref[ClassifierNetwork]] = []
    alive: list[int] = []

    def count() -> None:
        gc.collect()
        alive.append(sum(one() is not None for one in made))

    def noted(*words: Any, **named: Any) -> ClassifierNetwork:
        count()
        network = classifier_network(*words, **named)
        made.append(weakref.ref(network))
        return network

    monkeypatch.setattr("pipeline.inference.held_out.classifier_network", noted)
    with ExitStack() as kept:
        for start in starts:
            trainings.of_network(*start, kept)
        count()
    assert len(made) == 2 * len(DIRECTIONS)
    assert alive == [0] * (len(made) + 1)
