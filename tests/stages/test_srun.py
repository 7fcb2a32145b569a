"""Promise: inside a SLURM job a training stage gives its work to the tasks of `srun` and ends as they end."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.stages.test_interruption import messages
from tests.workspace import environment, make

pytestmark = [pytest.mark.slow, pytest.mark.ddp, pytest.mark.timeout(300)]

# What SLURM would do on two machines, here both this one.
SRUN = f"""#!{sys.executable}
import os, subprocess, sys
words = [word for word in sys.argv[1:] if not word.startswith("--")]
options = dict(word[2:].split("=") for word in sys.argv[1:] if word.startswith("--"))
assert options == {{"nodes": "2", "ntasks-per-node": "1", "kill-on-bad-exit": "1"}}, options
tasks = []
for rank in range(2):
    mine = {{"SLURM_STEP_ID": "0", "SLURM_PROCID": rank, "SLURM_NODEID": rank, "SLURM_LOCALID": 0}}
    mine |= {{"SLURM_NTASKS": 2, "SLURM_NTASKS_PER_NODE": 1}}
    tasks.append(subprocess.Popen(words, env=os.environ | {{name: str(value) for name, value in mine.items()}}))
sys.exit(max(task.wait() for task in tasks))
"""


def test_the_tasks_of_srun_train_together(tmp_path: Path) -> None:
    hardware = {"devices": 1, "nodes": 2, "launcher": "srun", "strategy": "ddp", "micro_batch": 2}
    folder = make(tmp_path / "workspace", pretrain={"tokens": 1280}, hardware=hardware)
    srun = tmp_path / "bin/srun"
    srun.parent.mkdir()
    srun.write_text(SRUN, encoding="utf-8")
    srun.chmod(0o755)
    port = str(20_000 + os.getpid() % 10_000)
    job = {"SLURM_JOB_ID": "7", "SLURM_NTASKS": "2", "SLURM_JOB_NAME": "test", "SLURM_NODELIST": "127.0.0.1"}
    env = environment(**job, MASTER_ADDR="127.0.0.1", MASTER_PORT=port, PATH=f"{srun.parent}:{os.environ['PATH']}")
    command = [sys.executable, "-m", "stages.pretrain", "forward"]
    done = subprocess.run(command, cwd=folder, env=env, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert messages(done.stderr) == []
    assert done.stdout.count("perplexity") == 1, "the first task alone speaks"
    assert '"processes": 2' in (folder / "results/pretrain/forward/run.json").read_text(encoding="utf-8")
