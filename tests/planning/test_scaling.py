"""Promise: more devices never calculate less in all; what does not fit is said, with what would."""

from dataclasses import replace
from types import SimpleNamespace
from typing import Any

import pytest
import torch

from pipeline.base.files import read_json, write_json
from pipeline.planning.devices import DEVICES, GB, Device, this_device
from pipeline.planning.memory import RUNTIME_GPU, USABLE, fewest_devices, largest_micro_batch, memory_of
from pipeline.planning.plan import plan
from pipeline.planning.scaling import forecast, step_seconds
from pipeline.planning.stage import Stage
from pipeline.planning.stages import stages_of
from pipeline.training.environment import data_sheet, peak_flops

H100 = DEVICES["h100"]
# Nothing but calculation takes time on it.
IDEAL = replace(H100, link=1e30, network=1e30, bandwidth=1e30)


@pytest.fixture
def stage(choices: dict[str, Any]) -> Stage:
    return stages_of(choices)[0]


def holding(size: float) -> Device:
    return replace(H100, memory=size / USABLE)


def test_one_device_takes_the_operations_over_the_speed(stage: Stage) -> None:
    phase = stage.phases[0]
    seconds, waiting = step_seconds(stage, phase, IDEAL, "bf16", 1, 8, "one process")
    assert seconds == pytest.approx(256 * phase.flops.both / (0.4 * 989e12))
    assert waiting == 0


def test_devices_share_the_global_batch_and_those_without_a_sequence_wait(
    stage: Stage, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("LATENCY_LINK", "LATENCY_NETWORK"):
        monkeypatch.setattr(f"pipeline.planning.communication.{name}", 0.0)
    steps = [step_seconds(stage, stage.phases[0], IDEAL, "bf16", n, 8, "DDP")[0] for n in (2, 8, 64)]
    assert steps[0] == pytest.approx(4 * steps[1], rel=1e-3)
    assert steps[1] == pytest.approx(steps[2], rel=1e-3)
    assert forecast(stage, H100, "bf16", 64, None).busy == 8


def test_device_hours_never_fall_with_more_devices(stage: Stage) -> None:
    hours = [forecast(stage, H100, "bf16", 2**power, None).device_hours for power in range(11)]
    assert sorted(hours) == hours


@pytest.mark.parametrize("strategy", ["auto", "fsdp"])
@pytest.mark.parametrize("name", ["blend", "self_train"])
def test_what_trains_in_one_process_gains_nothing_from_more_devices_and_pays_for_them(
    name: str, strategy: str, choices: dict[str, Any]
) -> None:
    settings = read_json("configs/hardware/tiny.yaml")
    write_json("configs/hardware/sharded.yaml", settings | {"strategy": strategy})
    made = plan(choices | {"hardware": "sharded"}, "h100", [1, 4, 64])
    found = next(one for one in made.stages if one.stage.name == name)
    alone, four, many = found.forecasts
    assert [replace(one, devices=1) for one in (four, many)] == [alone, alone]
    assert (alone.strategy, alone.busy, alone.communication) == ("one process", 1, 0)
    assert (four.device_hours, many.device_hours) == (4 * alone.device_hours, 64 * alone.device_hours)
    assert list(found.memory.values()) == [alone.memory] * 3


def test_what_trains_in_one_process_and_does_not_fit_fits_on_no_number_of_devices(choices: dict[str, Any]) -> None:
    student = next(stage for stage in stages_of(choices) if stage.name == "self_train")
    found = forecast(student, holding(RUNTIME_GPU), "bf16", 64, None)
    assert not found.fits
    assert found.remedy.startswith("no number of devices, as one alone trains it: a shorter `length`")


def test_the_parts_of_memory_are_those_of_mixed_precision(stage: Stage) -> None:
    memory = memory_of(stage, H100, "bf16", 8)
    assert (memory.weights, memory.gradients) == (4 * stage.parameters,) * 2
    assert memory.optimiser == 8 * stage.parameters  # AdamW's two moments
    assert memory.runtime == RUNTIME_GPU
    assert memory_of(stage, H100, "fp32", 8).casts == 0
    assert memory_of(stage, H100, "bf16", 4).activations == memory.activations / 2


def test_fsdp_divides_what_is_at_rest_and_holds_what_is_at_work(stage: Stage) -> None:
    alone, four = memory_of(stage, H100, "fp32", 8), memory_of(stage, H100, "fp32", 8, "FSDP", 4)
    assert memory_of(stage, H100, "fp32", 8, "DDP", 4) == alone
    assert four.optimiser == alone.optimiser / 4
    assert four.weights == alone.weights / 4 + 4 * (stage.outside + 2 * stage.largest_block)
    assert four.activations == alone.activations
    assert stage.outside + 2 * stage.largest_block == stage.parameters  # of two blocks


def test_fsdp_holds_all_where_processes_do_not_keep_in_step(stage: Stage) -> None:
    """A classifier's processes have unequally many passes; and what several passes add up is not divided yet."""
    deep = replace(stage)
    deep.__dict__["largest_block"] = stage.largest_block / 8  # so that two blocks are far from all
    alone, uneven = memory_of(deep, H100, "fp32", 8), replace(deep, even=False)
    uneven.__dict__["largest_block"] = deep.largest_block
    four = memory_of(uneven, H100, "fp32", 8, "FSDP", 4)
    assert (four.weights, four.gradients) == (alone.weights * 5 / 4, alone.gradients * 5 / 4)
    assert memory_of(deep, H100, "fp32", 8, "FSDP", 4).weights < alone.weights * 5 / 4
    once, twice = (memory_of(stage, H100, "fp32", micro, "FSDP", 4) for micro in (2, 1))  # a share of 2
    assert once.gradients < twice.gradients == alone.gradients * 5 / 4


def test_the_micro_batch_is_the_largest_power_of_two_that_fits(stage: Stage) -> None:
    two = memory_of(stage, H100, "bf16", 2).total
    assert largest_micro_batch(stage, holding(two), "bf16", "one process", 1) == 2
    assert largest_micro_batch(stage, holding(two - 1), "bf16", "one process", 1) == 1
    assert largest_micro_batch(stage, holding(1000 * GB), "bf16", "DDP", 4) == 2  # a share of 8 among 4


def test_what_fits_nowhere_alone_is_sharded_and_said(stage: Stage) -> None:
    four = holding(memory_of(stage, H100, "bf16", 1, "FSDP", 4).total)
    if fewest_devices(stage, four, "bf16") == 4:
        assert not forecast(stage, four, "bf16", 1, None).fits
        assert forecast(stage, four, "bf16", 1, None).remedy == "FSDP on 4 of them"
        found = forecast(stage, four, "bf16", 8, None)
        assert (found.fits, found.strategy) == (True, "FSDP")
    nowhere = forecast(stage, holding(RUNTIME_GPU), "bf16", 8, None)
    assert not nowhere.fits
    assert "no number of devices" in nowhere.remedy


def test_too_large_a_micro_batch_of_the_config_is_answered_with_one_that_fits(stage: Stage) -> None:
    small = holding(memory_of(stage, H100, "bf16", 2).total)
    found = forecast(stage, small, "bf16", 1, 8)
    assert (found.fits, found.remedy) == (False, "`micro_batch: 2`")


def test_what_is_emulated_is_no_faster() -> None:
    assert DEVICES["t4"].precision("auto") == "fp32"
    assert DEVICES["t4"].speed("bf16") == DEVICES["t4"].speed("fp32")
    assert DEVICES["a100"].precision("auto") == "bf16"


@pytest.mark.parametrize(
    ("name", "bandwidth"),
    [
        ("NVIDIA GeForce RTX 4090", 1008e9),
        ("NVIDIA H200", 4800e9),
        ("NVIDIA L40S", 300e9),  # not in the table: its own peak, and the rest as an L4
        ("NVIDIA B200", 8000e9),
    ],
)
def test_the_gpu_at_hand_has_the_data_sheet_of_its_whole_name(
    name: str, bandwidth: float, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(torch.cuda, "get_device_name", lambda: name)
    monkeypatch.setattr(torch.cuda, "get_device_properties", lambda _: SimpleNamespace(total_memory=1e9))
    peak_flops.cache_clear()
    found = this_device(SimpleNamespace(device="cuda"))  # type: ignore[arg-type]
    peak_flops.cache_clear()
    assert (found.bandwidth, found.memory, found.bf16) == (bandwidth, 1e9, data_sheet(name)[0])  # type: ignore[index]
