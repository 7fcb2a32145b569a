"""Promises: a micro batch that does not fit is halved without a trace in the result, or refused in one helpful line."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import torch
from torch import Tensor

from pipeline.base.errors import UserError
from pipeline.config.hardware import HardwareConfig
from pipeline.config.language_model import PretrainConfig
from pipeline.language_model.carry import CarriedLosses
from pipeline.language_model.losses import Losses, PredictionLosses
from pipeline.language_model.module import LanguageModelModule
from pipeline.models.awd_lstm import AWDLSTM
from pipeline.models.build import Network, build
from pipeline.models.settings import LSTMSettings, TransformerSettings
from pipeline.objectives.causal import Causal
from pipeline.training.gradients import GlobalBatch
from pipeline.training.module import Phase
from pipeline.training.place import Place
from pipeline.training.resume import ResumeFolder
from pipeline.training.run import run_phases

BATCH, LENGTH, STEPS, VOCABULARY = 8, 6, 4, 30
PLACE = Place(HardwareConfig(accelerator="cpu", threads=1), "fp32")
TRANSFORMER = TransformerSettings(layers=2, width=32, heads=2, feedforward=64, max_positions=8, dropout=0.1)
LSTM = LSTMSettings(backbone="lstm", layers=2, width=16, hidden=24, max_positions=8)


class Scarce:
    """The losses of a device that runs out of memory above `most` windows at once, from the third step on."""

    per_byte = True

    def __init__(self, losses: Losses, most: int, seen: list[int]) -> None:
        self.losses, self.most, self.seen = losses, most, seen

    def __getattr__(self, name: str) -> Any:
        return getattr(self.losses, name)

    def loss_sum(self, windows_BT1: Tensor, seeds_B: Tensor) -> Tensor:
        """The true loss, or the error that CUDA would raise, in the middle of a step that had begun well."""
        self.seen.append(len(windows_BT1))
        if len(windows_BT1) > self.most and sum(self.seen) > 2 * BATCH + self.most:
            raise torch.OutOfMemoryError("CUDA out of memory")
        return self.losses.loss_sum(windows_BT1, seeds_B)


class ScarceCarry(CarriedLosses):
    """The same of a processor, for a network that carries its state, after the first micro batch has changed it."""

    def __init__(self, network: AWDLSTM, most: int, seen: list[int]) -> None:
        super().__init__(network)
        self.most, self.seen = most, seen

    def loss_sum(self, windows_BT1: Tensor, seeds_B: Tensor) -> Tensor:
        """As `Scarce.loss_sum`."""
        self.seen.append(len(windows_BT1))
        if len(windows_BT1) > self.most and sum(self.seen) > 2 * BATCH + self.most:
            torch.empty(2**50)  # what torch itself says of too much
        return super().loss_sum(windows_BT1, seeds_B)


def share(_phase: int, step: int, rank: int, world: int) -> dict[str, Any]:
    draw = torch.Generator().manual_seed(step)
    return {
        "windows_BT1": torch.randint(VOCABULARY, (BATCH, LENGTH + 1), generator=draw),
        "seeds_B": torch.arange(BATCH) + step * BATCH,
        "step_seed": step,
        "denominator": float(BATCH * LENGTH),
        "tokens_in_step": BATCH * LENGTH,
        "most": BATCH,
    }


def train(
    network: Network, losses: Losses, micro_batch: int, resume: ResumeFolder | None = None, place: Place = PLACE
) -> LanguageModelModule:
    empty = torch.zeros(0, LENGTH + 1, dtype=torch.int64)
    config = PretrainConfig(start="scratch", tokens=1, batch_tokens=BATCH * LENGTH, length=LENGTH)
    module = LanguageModelModule(network, losses, config, micro_batch, "pretrain forward", (empty, empty[:, 0]), 1.0)
    run_phases(module, [Phase("", STEPS, validates=False)], share, resume=resume, place=place)
    return module


def transformer(scarce: int | None, seen: list[int]) -> tuple[Network, Losses]:
    network = build(TRANSFORMER, VOCABULARY, seed=1)
    plain = PredictionLosses(network, Causal())
    return network, plain if scarce is None else Scarce(plain, scarce, seen)  # type: ignore[return-value]


def lstm(scarce: int | None, seen: list[int]) -> tuple[Network, Losses]:
    network = build(LSTM, VOCABULARY, seed=1)
    assert isinstance(network, AWDLSTM)
    return network, CarriedLosses(network) if scarce is None else ScarceCarry(network, scarce, seen)


@pytest.mark.parametrize("kind", [transformer, lstm])
def test_out_of_memory_in_the_middle_of_a_run_repeats_the_step_in_smaller_parts(
    kind: Callable[[int | None, list[int]], tuple[Network, Losses]], capsys: pytest.CaptureFixture[str]
) -> None:
    seen: list[int] = []
    plain, losses = kind(None, seen)
    train(plain, losses, micro_batch=4)
    network, losses = kind(2, seen)
    module = train(network, losses, micro_batch=4)
    assert module.micro_batch == 2
    assert seen.count(4) > 4 < seen.count(2), "it began with 4 and ended with 2"
    assert capsys.readouterr().out == "  out of memory: going on with micro batches of 2\n"
    assert [row["step"] for row in module.curve] == [1, 2, 3, 4]
    for name, tensor in plain.state_dict().items():
        assert torch.allclose(tensor, network.state_dict()[name], atol=2e-6), name


def test_one_sequence_that_does_not_fit_is_refused_with_what_would() -> None:
    with pytest.raises(UserError, match="one sequence at a time") as refused:
        train(*transformer(0, []), micro_batch=4)
    for way_out in ("`length`", "`model`", "`precision: bf16`", "`hardware: fsdp`"):
        assert way_out in str(refused.value)


def test_what_was_found_to_fit_is_kept_for_the_next_start(tmp_path: Path) -> None:
    with ResumeFolder("stage", ["a"], root=tmp_path) as resume:
        resume.write_micro_batch(2)
        assert train(*transformer(None, []), micro_batch=4, resume=resume).micro_batch == 2
    with ResumeFolder("stage", ["a"], root=tmp_path) as resume:
        state = resume.load()
        assert state is not None
        assert state["micro_batch"] == 2


def test_a_trial_before_the_first_step_leaves_no_trace(monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[int] = []
    plain, losses = lstm(None, seen)
    train(plain, losses, micro_batch=2)
    monkeypatch.setattr(Place, "tries_micro_batch", True)
    network, losses = lstm(None, seen)
    original = losses.loss_sum

    def scarce(windows_BT1: Tensor, seeds_B: Tensor) -> Tensor:
        seen.append(len(windows_BT1))
        loss = original(windows_BT1, seeds_B)
        if len(windows_BT1) > 2:
            raise torch.OutOfMemoryError("CUDA out of memory")
        return loss

    monkeypatch.setattr(losses, "loss_sum", scarce)
    assert train(network, losses, micro_batch=8).micro_batch == 2
    assert seen[:4] == [8, 4, 2, 2]
    for name, tensor in plain.state_dict().items():
        assert torch.equal(tensor, network.state_dict()[name]), name


def test_a_number_that_the_user_gives_counts_for_a_resumed_run_too(tmp_path: Path) -> None:
    """On a CPU too large a micro batch ends the process without a word, and the user makes it smaller."""
    with ResumeFolder("stage", ["a"], root=tmp_path) as resume:
        train(*transformer(None, []), micro_batch=8, resume=resume)
        for hardware, found in ((PLACE.hardware, 8), (replace(PLACE.hardware, micro_batch=2), 2)):
            network, losses = transformer(None, [])
            assert train(network, losses, 2, resume, Place(hardware, "fp32")).micro_batch == found


@pytest.mark.parametrize("items", [1, 7, 16])
@pytest.mark.parametrize("micro_batches", [(4, 4, 4), (4, 2, 1)])
def test_each_item_is_measured_once_by_whatever_micro_batch_a_process_has(
    items: int, micro_batches: tuple[int, ...]
) -> None:
    seen, passes = [], set()
    for rank, micro_batch in enumerate(micro_batches):
        module = SimpleNamespace(trainer=SimpleNamespace(world_size=3), global_rank=rank, micro_batch=micro_batch)
        parts = list(GlobalBatch.shared_out(module, items))  # type: ignore[arg-type]
        assert all(1 <= len(numbers) <= micro_batch for numbers, _ in parts)
        seen += [int(number) for numbers, weight in parts if weight for number in numbers]
        passes.add(len(parts))
    assert sorted(seen) == list(range(items))
    assert len(passes) == 1 or len(set(micro_batches)) > 1, "sharded processes, whose micro batches are equal"
