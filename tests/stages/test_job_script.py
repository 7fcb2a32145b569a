"""Promises of docs/cluster.sbatch: before the time limit the work is kept and goes on; nothing else is run again."""

import os
import re
import signal
import subprocess
import sys
from pathlib import Path

import psutil
import pytest

from pipeline.config.hardware import HardwareConfig
from pipeline.config.read import load
from tests.workspace import REPOSITORY

pytestmark = pytest.mark.timeout(60)

SCRIPT = REPOSITORY / "docs/cluster.sbatch"
# As the real one: it sits an interrupt out until its stage, which takes its time over it, has ended.
DVC = f"""#!{sys.executable}
import os, signal, subprocess, sys
stage = '''
import signal, sys, time
def asked(*_):
    time.sleep(1)
    print("state kept", flush=True)
    sys.exit(1)
signal.signal(signal.SIGINT, asked)
print("stage runs", flush=True)
time.sleep(float(sys.argv[1]))
'''
runs = subprocess.Popen([sys.executable, "-c", stage, os.environ["SECONDS_OF_STAGE"]])
signal.signal(signal.SIGINT, signal.SIG_IGN)
code = 7 if runs.wait() else int(os.environ["CODE_OF_DVC"])
print("dvc", *sys.argv[1:], "ends with", code, flush=True)
sys.exit(code)
"""
SCONTROL = "#!/bin/sh\necho scontrol $*\n"
# With SIGINT as a job has it: what runs in the background has it ignored.
AS_A_JOB = (
    "import os, signal, sys; signal.signal(signal.SIGINT, signal.SIG_DFL); os.execvp('bash', ['bash', sys.argv[1]])"
)


def start(folder: Path, *, seconds: int, code: int = 0, **job: str) -> "subprocess.Popen[str]":
    """The script as a job whose one stage takes so long; returns when the stage runs."""
    for name, content in (("bin/dvc", DVC), ("bin/scontrol", SCONTROL), (".venv/bin/activate", "")):
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(content, encoding="utf-8")
        path.chmod(0o755)
    job |= {"SLURM_JOB_ID": "5", "SECONDS_OF_STAGE": str(seconds), "CODE_OF_DVC": str(code)}
    running = subprocess.Popen(
        [sys.executable, "-c", AS_A_JOB, str(SCRIPT)],
        cwd=folder,
        env={**os.environ, **job, "PATH": f"{folder / 'bin'}{os.pathsep}{os.environ['PATH']}"},
        stdout=subprocess.PIPE,
        text=True,
    )
    assert running.stdout is not None
    assert running.stdout.readline() == "stage runs\n"
    return running


def ended(running: "subprocess.Popen[str]") -> tuple[int, list[str]]:
    """Exit code, and what was said since the stage ran."""
    said = running.communicate()[0].splitlines()
    return running.returncode, said


def test_the_notice_of_the_time_limit_requeues_the_job_when_its_stage_and_dvc_have_ended(tmp_path: Path) -> None:
    running = start(tmp_path, seconds=30)
    running.send_signal(signal.SIGUSR1)
    assert ended(running) == (7, ["state kept", "dvc repro ends with 7", "scontrol requeue 5"])


def test_a_job_comes_up_ten_times_at_most(tmp_path: Path) -> None:
    running = start(tmp_path, seconds=30, SLURM_RESTART_COUNT="10")
    running.send_signal(signal.SIGUSR1)
    assert ended(running) == (7, ["state kept", "dvc repro ends with 7"])


@pytest.mark.parametrize("code", [0, 1, 255])
def test_what_ends_by_itself_is_not_run_again_and_leaves_its_exit_code(tmp_path: Path, code: int) -> None:
    assert ended(start(tmp_path, seconds=0, code=code)) == (code, [f"dvc repro ends with {code}"])


def test_a_cancelled_job_stays_cancelled(tmp_path: Path) -> None:
    running = start(tmp_path, seconds=30)
    script = psutil.Process(running.pid)
    for process in (*script.children(recursive=True), script):  # `scancel` means every process of a job
        process.terminate()
    code, said = ended(running)
    assert code == -signal.SIGTERM
    assert said == []


def test_the_job_asks_for_what_the_hardware_config_says_and_for_its_notice() -> None:
    asks = dict(re.findall(r"^#SBATCH --([\w-]+)(?:=(\S+))?$", SCRIPT.read_text(encoding="utf-8"), re.MULTILINE))
    hardware = load(HardwareConfig, REPOSITORY / "configs/hardware/slurm.yaml")
    assert int(asks["nodes"]) == hardware.nodes
    assert int(asks["ntasks-per-node"]) == int(asks["gpus-per-node"]) == hardware.devices
    signalled, seconds = asks["signal"].split("@")
    assert signalled == "B:USR1", "to the script alone: a job step's tasks would be asked twice"
    assert int(seconds) >= 60
