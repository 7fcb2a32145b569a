"""Promise (contracts 8 and 9) for what the plain decoder has not: a carried state, and noise of the objectives."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file

from pipeline.base.files import write_json
from tests.stages.test_families import ENCODER, LSTM
from tests.workspace import CONFIGS, contents, copies, environment, make, run

pytestmark = [pytest.mark.slow, pytest.mark.ddp, pytest.mark.timeout(300)]

KINDS: dict[str, tuple[dict[str, Any], dict[str, Any]]] = {
    "AWD-LSTM": (LSTM, {}),
    "masked": (CONFIGS["model"] | ENCODER, {"objective": "masked"}),
    "hybrid": (CONFIGS["model"], {"objective": "hybrid"}),
    # Without biases: that of the keys changes no score, so its gradient is rounding alone, which AdamW makes large.
    "spans": (
        CONFIGS["model"] | {"family": "encoder_decoder", "positions": "t5", "bias": False},
        {"objective": "spans"},
    ),
}
MODEL = "models/pretrained/forward"


@pytest.fixture(scope="module")
def prepared(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make(tmp_path_factory.mktemp("workspace"))


def workspace(folder: Path, prepared: Path, kind: str, hardware: dict[str, Any], tokens: int = 6400) -> Path:
    copies(prepared, folder)
    model, recipe = KINDS[kind]
    write_json(folder / "configs/model/tiny.yaml", model)
    write_json(folder / "configs/pretrain/tiny.yaml", CONFIGS["pretrain"] | {"tokens": tokens} | recipe)
    write_json(folder / "configs/hardware/tiny.yaml", {"accelerator": "cpu", "threads": 1} | hardware)
    return folder


@pytest.mark.parametrize("kind", KINDS)
def test_two_processes_and_another_micro_batch_train_the_same_weights(
    kind: str, prepared: Path, tmp_path: Path
) -> None:
    places = {
        "alone": {"micro_batch": 8},
        "micro batch 3": {"micro_batch": 3},
        "2 processes": {"strategy": "ddp", "devices": 2, "micro_batch": 2},
    }
    trained = {}
    for name, hardware in places.items():
        folder = workspace(tmp_path / name, prepared, kind, hardware)
        run(folder, "pretrain", "forward")
        trained[name] = load_file(folder / MODEL / "model.safetensors")
    for name, other in trained.items():
        for key, tensor in trained["alone"].items():
            assert torch.allclose(tensor, other[key], atol=2e-5, rtol=1e-4), f"{name}: {key} differs"


@pytest.mark.parametrize("devices", [1, 2])
def test_a_carried_state_goes_on_after_a_kill(devices: int, prepared: Path, tmp_path: Path) -> None:
    hardware = {"micro_batch": 3} | ({"strategy": "ddp", "devices": 2} if devices == 2 else {})
    whole = workspace(tmp_path / "whole", prepared, "AWD-LSTM", hardware, tokens=25_600)
    run(whole, "pretrain", "forward")
    killed = workspace(tmp_path / "killed", prepared, "AWD-LSTM", hardware, tokens=25_600)
    command = [sys.executable, "-m", "stages.pretrain", "forward"]
    process = subprocess.Popen(command, cwd=killed, env=environment(), start_new_session=True)
    while len(list(killed.glob(".resume/*/state-*.pt"))) == 0:
        assert process.poll() is None
        time.sleep(0.002)
    os.killpg(process.pid, signal.SIGKILL)
    process.wait()
    assert contents(killed / MODEL) == contents(prepared / MODEL), "ended before it was killed"
    resumed = run(killed, "pretrain", "forward")
    assert "going on from step" in resumed.stdout
    assert contents(killed / "models/pretrained") == contents(whole / "models/pretrained")
