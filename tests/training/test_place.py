"""Promises: hardware that is not there, and more processes than work, are refused in one line before anything runs."""

import pytest
import torch

from pipeline.base.errors import UserError
from pipeline.config.hardware import HardwareConfig
from pipeline.config.read import parse
from pipeline.models.settings import TransformerSettings
from pipeline.training.place import Place
from pipeline.training.processes import processes

SETTINGS = TransformerSettings(layers=2, width=32, heads=2, feedforward=64, max_positions=8)


@pytest.mark.parametrize(("accelerator", "name"), [("gpu", "GPU"), ("mps", "Apple GPU")])
def test_a_device_that_is_not_there(monkeypatch: pytest.MonkeyPatch, accelerator: str, name: str) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    monkeypatch.setattr(torch.backends.mps, "is_available", lambda: False)
    with pytest.raises(UserError, match=f"`accelerator: {accelerator}`, but torch sees no {name}; use"):
        _ = Place(parse(HardwareConfig, {"accelerator": accelerator}, "hardware"), "fp32").device


def test_more_devices_than_there_are(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 2)
    with pytest.raises(UserError, match="`devices: 8`, but torch sees 2 on this machine"):
        _ = Place(HardwareConfig(accelerator="gpu", devices=8), "fp32").device


def test_more_processes_than_sequences_in_a_step() -> None:
    place = Place(HardwareConfig(accelerator="cpu", devices=4, nodes=2), "fp32")
    place.refuse_idle(8)
    with pytest.raises(UserError, match="8 processes for 7 sequences or documents a step; use at most 7"):
        place.refuse_idle(7)


def test_several_machines_and_one_process(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("TORCHELASTIC_RUN_ID", "SLURM_STEP_ID"):
        monkeypatch.delenv(name, raising=False)
    place = Place(HardwareConfig(accelerator="cpu", devices=1, nodes=2), "fp32")
    with pytest.raises(UserError, match=r"`nodes: 2`, but one process was started; .*torchrun"), processes(place):
        pass


def test_another_number_of_processes_than_the_config_says(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TORCHELASTIC_RUN_ID", "run")
    monkeypatch.setenv("WORLD_SIZE", "3")
    place = Place(HardwareConfig(accelerator="cpu", devices=2), "fp32")
    with pytest.raises(UserError, match="3 processes were started, but the config says 2 devices"), processes(place):
        pass


def test_srun_outside_a_job(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", "/nowhere")
    place = Place(HardwareConfig(accelerator="cpu", devices=2, launcher="srun"), "fp32")
    with pytest.raises(UserError, match="there is no `srun` here"), processes(place):
        pass


def test_a_gpu_begins_with_all_that_a_process_could_need(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 2)
    one = Place(HardwareConfig(accelerator="gpu", devices=1), "fp32")
    two = Place(HardwareConfig(accelerator="gpu"), "fp32")
    assert (one.micro_batch(SETTINGS, 8, most=100), two.micro_batch(SETTINGS, 8, most=100)) == (64, 32)
    assert (one.tries_micro_batch, two.tries_micro_batch) == (False, True), "one alone halves it in any step"
