"""Promise: inside a SLURM job a training stage gives its work to the tasks of `srun` and ends as they end."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.stages.test_interruption import messages
from tests.workspace import environment, make, run

pytestmark = [pytest.mark.slow, pytest.mark.ddp, pytest.mark.timeout(300)]

# What SLURM would do on two machines, here both this one, and what srun does when it is signalled (`_srun_signal_mgr`
# of its srun_job.c; of the first SIGINT only with --disable-status).
SRUN = f"""#!{sys.executable}
import os, signal, subprocess, sys
words = [word for word in sys.argv[1:] if not word.startswith("--")]
options = dict(word[2:].partition("=")[::2] for word in sys.argv[1:] if word.startswith("--"))
expected = {{"nodes": "2", "ntasks-per-node": "1", "kill-on-bad-exit": "1", "disable-status": ""}}
assert options == expected | {{"cpus-per-task": "3"}}, options
tasks, interrupts = [], []

def signalled(number, _):
    interrupts.append(number)
    for task in tasks:
        task.send_signal(number if interrupts == [signal.SIGINT] else signal.SIGKILL)

signal.signal(signal.SIGINT, signalled)
signal.signal(signal.SIGTERM, signalled)
for rank in range(2):
    mine = {{"SLURM_STEP_ID": "0", "SLURM_PROCID": rank, "SLURM_NODEID": rank, "SLURM_LOCALID": 0}}
    mine |= {{"SLURM_NTASKS": 2, "SLURM_NTASKS_PER_NODE": 1}}
    mine = os.environ | {{name: str(value) for name, value in mine.items()}}
    tasks.append(subprocess.Popen(words, env=mine, process_group=0))
sys.exit(max(abs(task.wait()) for task in tasks))
"""
TWO_NODES = {"devices": 1, "nodes": 2, "launcher": "srun", "strategy": "ddp", "micro_batch": 2}

# Runs pretraining; in the middle of a step its first task sends signals to the process that has called srun.
ASKED = """
import os, runpy, signal, sys, time
from pipeline.training import gradients

os.environ.setdefault("STAGE", str(os.getpid()))
events, undisturbed = sys.argv[1].split(), gradients.GlobalBatch.gradients

def asked(self, batch):
    if self.position.step == 5 and self.global_rank == 0:
        for event in events:
            if event == "group":
                os.killpg(int(os.environ["STAGE"]), signal.SIGINT)
            else:
                os.kill(int(os.environ["STAGE"]), signal.Signals[event])
            time.sleep(0.5)
        time.sleep(1)
    return undisturbed(self, batch)

gradients.GlobalBatch.gradients = asked
sys.argv = ["pretrain", "forward"]
runpy.run_module("stages.pretrain", run_name="__main__", alter_sys=True)
"""


def call(folder: Path, *words: str) -> subprocess.CompletedProcess[str]:
    """Run Python in the workspace `folder`, inside a job."""
    srun = folder.parent / "bin/srun"
    srun.parent.mkdir()
    srun.write_text(SRUN, encoding="utf-8")
    srun.chmod(0o755)
    port = str(20_000 + os.getpid() % 10_000)
    job = {"SLURM_JOB_ID": "7", "SLURM_NTASKS": "2", "SLURM_JOB_NAME": "test", "SLURM_NODELIST": "127.0.0.1"}
    job |= {"SLURM_CPUS_PER_TASK": "3"}
    env = environment(**job, MASTER_ADDR="127.0.0.1", MASTER_PORT=port, PATH=f"{srun.parent}:{os.environ['PATH']}")
    command = [sys.executable, *words]
    return subprocess.run(
        command, cwd=folder, env=env, capture_output=True, text=True, check=False, start_new_session=True
    )


def test_the_tasks_of_srun_train_together(tmp_path: Path) -> None:
    folder = make(tmp_path / "workspace", pretrain={"tokens": 1280}, hardware=TWO_NODES)
    done = call(folder, "-m", "stages.pretrain", "forward")
    assert done.returncode == 0, done.stderr
    assert messages(done.stderr) == []
    assert done.stdout.count("perplexity") == 1, "the first task alone speaks"
    assert '"processes": 2' in (folder / "results/pretrain/forward/run.json").read_text(encoding="utf-8")


@pytest.mark.parametrize("events", ["SIGTERM SIGTERM", "SIGINT", "group"])
def test_a_stage_that_is_asked_to_stop_has_its_tasks_keep_the_step(tmp_path: Path, events: str) -> None:
    """Asked by a cluster, and once more where its dvc is gone; by Ctrl-C; by Ctrl-C at all of the job's processes."""
    folder = make(tmp_path / "workspace", pretrain={"checkpoint_every": 1000}, hardware=TWO_NODES)
    stopped = call(folder, "-c", ASKED, events)
    assert messages(stopped.stderr) == [
        "pretrain forward: stopped after step 7 of 25, as asked; nothing is lost, run the same command again to go on"
    ]
    assert stopped.returncode == 1
    (folder / "configs/hardware/tiny.yaml").write_text("accelerator: cpu\nthreads: 1", encoding="utf-8")
    assert "going on from step 7" in run(folder, "pretrain", "forward").stdout
