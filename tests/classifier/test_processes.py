"""Promise: a process for which a step has no document leaves no trace: losses and weights are those of one process."""

import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import load_file, save_file

from pipeline.base.files import read_json, write_json
from pipeline.classifier.data import InMemory, LabelledDocuments
from pipeline.classifier.train import ClassifierTraining
from pipeline.config.hardware import HardwareConfig
from pipeline.config.read import parse
from pipeline.training.processes import processes
from pipeline.training.run import this_rank
from tests.classifier.small import CONFIG, SETTINGS, documents, network
from tests.workspace import environment

pytestmark = [pytest.mark.slow, pytest.mark.ddp, pytest.mark.timeout(120)]

RECIPE = replace(
    CONFIG, epochs=4, unfreeze="gradual", phase_epochs=2, batch_documents=2, learning_rate=0.002,
    head_dropout=(0.2, 0.1), precision="fp32",
)  # fmt: skip
PROGRAM = "import sys; from tests.classifier.test_processes import train; train(*sys.argv[1:])"


def train(folder: str, strategy: str, devices: str) -> ClassifierTraining:
    """Train on three documents, in steps of one and of two, and leave curve and weights in the folder."""
    given = LabelledDocuments(InMemory(documents(20, 9, 12)), torch.tensor([0, 1, 2]))
    shape = {"strategy": strategy, "devices": int(devices), "micro_batch": 1}
    hardware = parse(HardwareConfig, {"accelerator": "cpu", "threads": 1, **shape}, "hardware")
    made = network(replace(SETTINGS, dropout=0.1, embedding_dropout=0.1))
    training = ClassifierTraining(made, given, given.subset(np.zeros(0, dtype=np.int64)), RECIPE, hardware)
    with processes(training.place):
        module = training.run(None)
        if this_rank() == 0:
            save_file(made.state_dict(), Path(folder) / "model.safetensors")
            write_json(Path(folder) / "curve.json", module.curve)
    return training


def losses(folder: Path) -> list[float]:
    """Of each step."""
    return [row["train_loss"] for row in read_json(folder / "curve.json") if "train_loss" in row]


@pytest.mark.parametrize("strategy", ["ddp", "fsdp"])
def test_a_step_may_have_fewer_documents_than_there_are_processes(strategy: str, tmp_path: Path) -> None:
    one, two = tmp_path / "one", tmp_path / "two"
    for folder in (one, two):
        folder.mkdir()
    _, plans = train(str(one), "auto", "1").plan()
    assert {len(plan.documents_of(step)) for plan in plans for step in range(plan.steps)} == {1, 2}
    command = [sys.executable, "-c", PROGRAM, str(two), strategy, "2"]
    done = subprocess.run(command, env=environment(), capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    alone, shared = (losses(folder) for folder in (one, two))
    assert len(alone) == sum(plan.steps for plan in plans)
    assert shared == pytest.approx(alone, rel=0, abs=1e-5)
    weights = load_file(two / "model.safetensors")
    for name, tensor in load_file(one / "model.safetensors").items():
        assert torch.allclose(tensor, weights[name], atol=2e-5, rtol=1e-4), f"{name} differs"
