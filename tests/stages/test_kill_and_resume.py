"""Promise (contract 9): a stage killed at any moment goes on from its last checkpoint to the very same bytes."""

import os
import random
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from tests.workspace import contents, copies, environment, make, run

pytestmark = pytest.mark.slow

STAGES = {
    "pretrain": ("models/pretrained", "results/pretrain"),
    "finetune_lm": ("models/domain", "results/finetune_lm"),
    "finetune_classifier": ("models/classifier", "results/finetune_classifier"),
}
LONGER = {"pretrain": {"tokens": 20480}, "finetune_lm": {"tokens": 20480}, "classifier": {"epochs": 10}}

# Runs a stage in a process that kills itself: while the state of a step is half written, or right after it.
KILLER = """
import os, runpy, signal, sys
import torch
from pipeline.training import resume

stage, when, target = sys.argv[1], sys.argv[2], int(sys.argv[3])
written, saved = torch.save, resume.ResumeFolder.save
calls = 0

def torn(value, file):
    global calls
    calls += 1
    if when == "inside" and calls == target:
        file.write(b"half of a state")
        file.flush()
        os.kill(os.getpid(), signal.SIGKILL)
    written(value, file)

def save(self, phase, step, state):
    saved(self, phase, step, state)
    if when == "after" and phase == 1 and step == target:
        os.kill(os.getpid(), signal.SIGKILL)

torch.save, resume.ResumeFolder.save = torn, save
sys.argv = [stage, "forward"]
runpy.run_module(f"stages.{stage}", run_name="__main__", alter_sys=True)
"""


@pytest.fixture(scope="module")
def workspace(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make(tmp_path_factory.mktemp("workspace"), **LONGER)


def outcome(folder: Path, stage: str) -> dict[str, bytes]:
    return {f"{out}/{name}": content for out in STAGES[stage] for name, content in contents(folder / out).items()}


def states(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.glob(".resume/*/state-*.pt"))


def start(folder: Path, stage: str) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-m", f"stages.{stage}", "forward"],
        cwd=folder,
        env=environment(),
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )


def kill_after_checkpoints(folder: Path, stage: str, checkpoints: int, pause: float) -> None:
    """Start the stage, let it write some checkpoints of its own, wait a moment, and kill it."""
    process = start(folder, stage)
    newest, seen = (states(folder) or [""])[-1], 0
    while seen < checkpoints:
        assert process.poll() is None, f"ended before it was killed:\n{process.communicate()[0]}"
        latest = (states(folder) or [""])[-1]
        if latest != newest:
            newest, seen = latest, seen + 1
        time.sleep(0.002)
    time.sleep(pause)
    process.send_signal(signal.SIGKILL)
    process.communicate()


@pytest.mark.parametrize("stage", STAGES)
@pytest.mark.timeout(600)
def test_five_kills_at_random_points_change_nothing(workspace: Path, tmp_path: Path, stage: str) -> None:
    undisturbed = copies(workspace, tmp_path / "undisturbed")
    run(undisturbed, stage, "forward")

    disturbed = copies(workspace, tmp_path / "a folder of another name")
    points = random.Random(f"points of {stage}")
    for _ in range(5):
        kill_after_checkpoints(disturbed, stage, points.randint(2, 3), points.uniform(0, 0.05))
    last = run(disturbed, stage, "forward")

    assert "going on from step" in last.stdout
    assert outcome(disturbed, stage) == outcome(undisturbed, stage)
    assert not (disturbed / ".resume").exists(), "a finished stage leaves no state behind"


@pytest.mark.parametrize(
    ("stage", "when", "target"),
    [
        pytest.param("pretrain", "inside", 3, id="inside a checkpoint write"),
        pytest.param("finetune_classifier", "inside", 9, id="inside a checkpoint write of a later phase"),
        pytest.param("finetune_classifier", "after", 12, id="between two phases"),
    ],
)
@pytest.mark.timeout(300)
def test_a_kill_at_the_worst_moment_changes_nothing(
    workspace: Path, tmp_path: Path, stage: str, when: str, target: int
) -> None:
    undisturbed = copies(workspace, tmp_path / "undisturbed")
    run(undisturbed, stage, "forward")
    disturbed = copies(workspace, tmp_path / "disturbed")
    words = [sys.executable, "-c", KILLER, stage, when, str(target)]
    killed = subprocess.run(words, cwd=disturbed, env=environment(), capture_output=True, text=True, check=False)
    assert killed.returncode == -signal.SIGKILL, killed.stderr
    assert states(disturbed), "there was a checkpoint before the kill"
    if when == "inside":
        assert list(disturbed.glob(".resume/*/*.partial")), "the kill fell into the write"
    again = run(disturbed, stage, "forward")
    assert "going on from step" in again.stdout
    assert outcome(disturbed, stage) == outcome(undisturbed, stage)


@pytest.mark.timeout(300)
def test_a_second_run_on_the_same_state_is_refused_in_one_line(workspace: Path, tmp_path: Path) -> None:
    folder = copies(workspace, tmp_path / "workspace")
    first = start(folder, "pretrain")
    while not states(folder):
        assert first.poll() is None
        time.sleep(0.01)
    os.kill(first.pid, signal.SIGSTOP)  # still there, still holding the folder
    second = run(folder, "pretrain", "forward", check=False)
    os.kill(first.pid, signal.SIGCONT)
    first.kill()
    first.communicate()
    assert second.returncode == 1
    assert f"already running as process {first.pid}" in second.stderr
    assert "Traceback" not in second.stderr


@pytest.mark.timeout(300)
def test_a_changed_config_does_not_pick_up_the_old_state(workspace: Path, tmp_path: Path) -> None:
    folder = copies(workspace, tmp_path / "workspace")
    kill_after_checkpoints(folder, "pretrain", 2, 0.0)
    config = folder / "configs/pretrain/tiny.yaml"
    config.write_text(config.read_text(encoding="utf-8").replace('"length": 32', '"length": 16'), encoding="utf-8")
    assert "going on" not in run(folder, "pretrain", "forward").stdout
