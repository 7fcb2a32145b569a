"""Promise: who is asked to stop stops, also where the signal comes in the last step of a phase or after it."""

import os
import signal
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import torch

from pipeline.base.errors import Stopped
from pipeline.config.language_model import PretrainConfig
from pipeline.language_model.losses import PredictionLosses
from pipeline.language_model.module import LanguageModelModule
from pipeline.models.build import build
from pipeline.models.settings import TransformerSettings
from pipeline.objectives.causal import Causal
from pipeline.training import stopping
from pipeline.training.module import Phase, TrainingModule
from pipeline.training.resume import ResumeFolder
from pipeline.training.run import run_phases
from pipeline.training.stopping import StopRequest
from tests.training.test_micro_batch import LENGTH, PLACE, VOCABULARY, share


class Done:
    """A collective that has ended."""

    def wait(self) -> None:
        """At once."""


@pytest.fixture
def _two(monkeypatch: pytest.MonkeyPatch) -> None:
    """Two processes, of which the other one is never asked."""
    monkeypatch.setattr(stopping.dist, "get_backend", lambda: "gloo")
    monkeypatch.setattr(stopping.dist, "all_reduce", lambda *_, **__: Done())


@pytest.mark.usefixtures("_two")
def test_the_last_steps_flag_is_read_when_a_phase_ends() -> None:
    request = StopRequest(2)
    assert [request.agreed() for _ in range(3)] == [False] * 3
    assert request.finish() is False
    request.number = 15  # in the last step
    assert request.agreed() is False, "several processes know it one step late"
    assert request.finish() is True


@pytest.fixture
def _handlers() -> Iterator[None]:
    """Those of the tests, put back."""
    before = {number: signal.getsignal(number) for number in (signal.SIGTERM, signal.SIGINT)}
    yield
    for number, handler in before.items():
        signal.signal(number, handler)


def trained(phases: list[Phase], resume: ResumeFolder | None = None) -> LanguageModelModule:
    network = build(TransformerSettings(layers=1, width=16, heads=2, feedforward=32, max_positions=8), VOCABULARY, 1)
    config = PretrainConfig(start="scratch", tokens=1, batch_tokens=8 * LENGTH, length=LENGTH)
    empty = torch.zeros(0, LENGTH + 1, dtype=torch.int64)
    module = LanguageModelModule(
        network, PredictionLosses(network, Causal()), config, 8, "pretrain", (empty, empty[:, 0]), 1.0
    )
    run_phases(module, phases, share, resume=resume, place=PLACE)
    return module


def test_between_two_phases_the_run_ends_and_after_the_last_it_is_done(monkeypatch: pytest.MonkeyPatch) -> None:
    def finish(_: Any) -> bool:
        return True

    monkeypatch.setattr(StopRequest, "finish", finish)
    phases = [Phase(name, 2, validates=False) for name in ("head", "all")]
    with pytest.raises(Stopped, match="stopped after step 2 of 2 of phase head, as asked"):
        trained(phases)
    assert trained(phases[1:]).position.step == 2


@pytest.mark.usefixtures("_handlers")
def test_a_signal_after_the_last_step_of_a_phase_is_not_lost(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A scheduler's SIGTERM is followed by a kill: what went on into the next phase would lose it."""
    to_the_end = TrainingModule.on_train_end

    def asked_at_the_end(module: TrainingModule) -> None:
        os.kill(os.getpid(), signal.SIGTERM)
        to_the_end(module)

    monkeypatch.setattr(TrainingModule, "on_train_end", asked_at_the_end)
    phases = [Phase(name, 2, validates=False) for name in ("head", "all")]
    with ResumeFolder("stage", [], root=tmp_path) as resume:
        with pytest.raises(Stopped, match="stopped after step 2 of 2 of phase head, as asked"):
            trained(phases, resume)
        state = resume.load()
    assert state is not None
    assert (state["phase"], state["step"]) == (0, 2)
