"""Promises: who asks a run to stop loses no step; a process that dies leaves one line and no orphans behind."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import psutil
import pytest
import torch
from safetensors.torch import load_file

from tests.workspace import contents, copies, environment, make, run

pytestmark = [pytest.mark.slow, pytest.mark.ddp, pytest.mark.timeout(600)]

# No checkpoint but those that are written because somebody asked to stop.
LONG = {"tokens": 6400, "checkpoint_every": 1000}
TWO = {"accelerator": "cpu", "threads": 1, "devices": 2, "micro_batch": 2}
MODEL = "models/pretrained/forward/model.safetensors"

# Runs pretraining; one of its processes meets something in the middle of a step.
STRUCK = """
import os, runpy, signal, sys
import torch
from pipeline.training import gradients

rank, event = sys.argv[1], sys.argv[2]
undisturbed = gradients.GlobalBatch.gradients

def struck(self, batch):
    if self.position.step == 5 and os.environ.get("LOCAL_RANK", "0") == rank:
        if event == "OutOfMemory":
            self.loss_sum = out_of_memory
        elif event.startswith("all "):
            os.killpg(0, signal.Signals[event.removeprefix("all ")])
        else:
            os.kill(os.getpid(), signal.Signals[event])
    return undisturbed(self, batch)

def out_of_memory(micro):
    raise torch.OutOfMemoryError("CUDA out of memory")

gradients.GlobalBatch.gradients = struck
sys.argv = ["pretrain", "forward"]
runpy.run_module("stages.pretrain", run_name="__main__", alter_sys=True)
"""

# Before that: a disk so slow that writing the state takes longer than a process outlives another's end.
SLOW = """
import time
from pipeline.training import processes, resume

processes.GRACE, save = 0.2, resume.ResumeFolder.save

def slow(self, *arguments):
    time.sleep(4)
    save(self, *arguments)

resume.ResumeFolder.save = slow
"""


@pytest.fixture(scope="module")
def workspace(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make(tmp_path_factory.mktemp("workspace"), pretrain=LONG)


@pytest.fixture(scope="module")
def undisturbed(workspace: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = copies(workspace, tmp_path_factory.mktemp("undisturbed") / "workspace")
    run(folder, "pretrain", "forward")
    return folder


def on(folder: Path, hardware: dict[str, object]) -> Path:
    lines = (f"{key}: {value}" for key, value in hardware.items())
    (folder / "configs/hardware/tiny.yaml").write_text("\n".join(lines), encoding="utf-8")
    return folder


def strike(folder: Path, rank: int, event: str, program: str = STRUCK) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-c", program, str(rank), event]
    done = subprocess.run(
        command, cwd=folder, env=environment(), capture_output=True, text=True, check=False, start_new_session=True
    )
    assert "Traceback" not in done.stderr, done.stderr
    return done


def left_over(folder: Path, patience: float) -> list[int]:
    """Processes that still run in the folder after some seconds."""
    deadline = time.monotonic() + patience
    while True:
        found = [one.pid for one in psutil.process_iter() if _works_in(one, folder)]
        if not found or time.monotonic() > deadline:
            return found
        time.sleep(0.1)


def _works_in(process: psutil.Process, folder: Path) -> bool:
    try:
        return process.status() != psutil.STATUS_ZOMBIE and process.cwd() == str(folder)
    except psutil.Error:
        return False


def messages(stderr: str) -> list[str]:
    """What a stage says beside its progress lines."""
    return [line for line in stderr.splitlines() if line.startswith(("error: ", "pretrain forward: stopped"))]


def test_sigterm_keeps_the_step_and_the_run_goes_on_to_the_same_bytes(
    workspace: Path, undisturbed: Path, tmp_path: Path
) -> None:
    folder = copies(workspace, tmp_path / "workspace")
    stopped = strike(folder, 0, "SIGTERM")
    assert stopped.returncode == 1
    assert messages(stopped.stderr) == [
        "pretrain forward: stopped after step 6 of 25, as asked; nothing is lost, run the same command again to go on"
    ]
    assert "going on from step 6" in run(folder, "pretrain", "forward").stdout
    for out in ("models/pretrained", "results/pretrain"):
        assert contents(folder / out) == contents(undisturbed / out)


def test_ctrl_c_stops_sharded_processes_together_and_one_alone_goes_on(
    workspace: Path, undisturbed: Path, tmp_path: Path
) -> None:
    """The state of two FSDP processes is whole: another number of devices goes on from it."""
    folder = on(copies(workspace, tmp_path / "workspace"), TWO | {"strategy": "fsdp"})
    stopped = strike(folder, 1, "SIGINT")
    assert stopped.returncode == 1
    assert messages(stopped.stderr) == [
        "pretrain forward: stopped after step 7 of 25, as asked; nothing is lost, run the same command again to go on"
    ]
    assert left_over(folder, 0.0) == []
    alone = run(on(folder, {"accelerator": "cpu", "threads": 1}), "pretrain", "forward")
    assert "going on from step 7" in alone.stdout
    expected = load_file(undisturbed / MODEL)
    for name, tensor in load_file(folder / MODEL).items():
        assert torch.allclose(tensor, expected[name], atol=2e-5, rtol=1e-4), name


def test_a_stop_waits_until_the_state_is_written_however_long_that_takes(workspace: Path, tmp_path: Path) -> None:
    folder = on(copies(workspace, tmp_path / "workspace"), TWO | {"strategy": "ddp"})
    stopped = strike(folder, 1, "SIGTERM", SLOW + STRUCK)
    assert messages(stopped.stderr) == [
        "pretrain forward: stopped after step 7 of 25, as asked; nothing is lost, run the same command again to go on"
    ]
    assert left_over(folder, 0.0) == []
    alone = run(on(folder, {"accelerator": "cpu", "threads": 1}), "pretrain", "forward")
    assert "going on from step 7" in alone.stdout


@pytest.mark.parametrize("number", ["SIGINT", "SIGTERM"])
def test_processes_that_read_ahead_outlive_a_signal_to_all(workspace: Path, tmp_path: Path, number: str) -> None:
    """A terminal and a cluster signal whole groups; readers that died of it would take the step with them."""
    folder = on(copies(workspace, tmp_path / "workspace"), TWO | {"strategy": "ddp", "workers": 1})
    stopped = strike(folder, 0, f"all {number}")
    (line,) = messages(stopped.stderr)
    assert "stopped after step 7 of 25, as asked" in line
    assert stopped.returncode == 1
    assert left_over(folder, 10.0) == []


@pytest.mark.parametrize(
    ("rank", "event", "said"),
    [
        pytest.param(
            1,
            "SIGKILL",
            "error: process 2 of 2 was ended by SIGKILL; "
            "the last checkpoint is kept, run the same command again to go on from it",
            id="another process is killed",
        ),
        pytest.param(
            1,
            "OutOfMemory",
            "error: process 2 of 2: pretrain forward: out of memory; "
            "run the same command again, it goes on with micro batches of 1",
            id="another process runs out of memory",
        ),
        pytest.param(0, "SIGKILL", None, id="the first process is killed"),
    ],
)
def test_a_process_that_dies_ends_the_others_and_is_named(
    workspace: Path, tmp_path: Path, rank: int, event: str, said: str | None
) -> None:
    folder = on(copies(workspace, tmp_path / "workspace"), TWO | {"strategy": "ddp"})
    struck = strike(folder, rank, event)
    assert messages(struck.stderr) == ([] if said is None else [said])
    assert struck.returncode == (1 if rank else -signal.SIGKILL)
    assert left_over(folder, 20.0) == []
    if event == "OutOfMemory":
        assert [path.read_text(encoding="utf-8") for path in folder.glob(".resume/*/micro_batch")] == ["1\n"]


def test_processes_with_different_configs_are_refused(workspace: Path, tmp_path: Path) -> None:
    """Started as torchrun starts them, on two machines whose folders differ."""
    folders = [on(copies(workspace, tmp_path / name), TWO | {"strategy": "ddp"}) for name in ("one", "two")]
    config = folders[1] / "configs/pretrain/tiny.yaml"
    config.write_text(config.read_text(encoding="utf-8").replace('"tokens"', '"seed": 2, "tokens"'), encoding="utf-8")
    common = {"TORCHELASTIC_RUN_ID": "test", "WORLD_SIZE": "2", "MASTER_ADDR": "127.0.0.1", "GROUP_RANK": "0"}
    common |= {"LOCAL_WORLD_SIZE": "2", "MASTER_PORT": str(20_000 + os.getpid() % 10_000)}
    started = [
        subprocess.Popen(
            [sys.executable, "-m", "stages.pretrain", "forward"],
            cwd=folder,
            env=environment(**common, RANK=str(rank), LOCAL_RANK=str(rank)),
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            text=True,
        )
        for rank, folder in enumerate(folders)
    ]
    said = [messages(process.communicate()[1]) for process in started]
    assert [process.returncode for process in started] == [1, 1]
    assert said[1] == []
    (line,) = said[0]
    assert "process 2 of 2 has other configs, code, data or resume states than the first" in line
