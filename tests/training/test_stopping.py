"""Promise: who is asked to stop stops, also where the signal comes in the last step of a phase of several processes."""

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
from pipeline.training.module import Phase
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


def trained(phases: list[Phase]) -> LanguageModelModule:
    network = build(TransformerSettings(layers=1, width=16, heads=2, feedforward=32, max_positions=8), VOCABULARY, 1)
    config = PretrainConfig(start="scratch", tokens=1, batch_tokens=8 * LENGTH, length=LENGTH)
    empty = torch.zeros(0, LENGTH + 1, dtype=torch.int64)
    module = LanguageModelModule(
        network, PredictionLosses(network, Causal()), config, 8, "pretrain", (empty, empty[:, 0]), 1.0
    )
    run_phases(module, phases, share, resume=None, place=PLACE)
    return module


def test_between_two_phases_the_run_ends_and_after_the_last_it_is_done(monkeypatch: pytest.MonkeyPatch) -> None:
    def finish(_: Any) -> bool:
        return True

    monkeypatch.setattr(StopRequest, "finish", finish)
    phases = [Phase(name, 2, validates=False) for name in ("head", "all")]
    with pytest.raises(Stopped, match="stopped after step 2 of 2 of phase head, as asked"):
        trained(phases)
    assert trained(phases[1:]).position.step == 2
