"""Promise: a killed `dvc repro` leaves no stage running, and the next one goes on to the same bytes."""

import os
import signal
import subprocess
import time
from pathlib import Path

import pytest

from tests.e2e.clones import call, clone, environment
from tests.workspace import contents

pytestmark = [pytest.mark.slow, pytest.mark.timeout(900), pytest.mark.xdist_group("killed")]


@pytest.fixture(scope="module")
def tokenised(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A clone that is ready for pretraining, long enough to be killed."""
    folder = clone(tmp_path_factory.mktemp("e2e") / "clone")
    config = folder / "configs/pretrain/tiny.yaml"
    lines = config.read_text(encoding="utf-8").splitlines()
    kept = [line for line in lines if not line.startswith(("tokens:", "checkpoint_every:"))]
    config.write_text("\n".join([*kept, "tokens: 81920", "checkpoint_every: 2"]) + "\n", encoding="utf-8")
    call(folder, "dvc", "repro", "tokenise@generic")
    return folder


@pytest.fixture(scope="module")
def undisturbed(tokenised: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, bytes]:
    """What pretraining writes when nobody disturbs it."""
    folder = tmp_path_factory.mktemp("undisturbed") / "clone"
    call(tokenised.parent, "cp", "-r", str(tokenised), str(folder))
    call(folder, "dvc", "repro", "pretrain@forward")
    return contents(folder / "models/pretrained")


@pytest.mark.parametrize("whom", ["dvc alone", "the stage alone", "the group"])
def test_a_killed_repro_leaves_no_stage_behind_and_goes_on(
    tokenised: Path, undisturbed: dict[str, bytes], tmp_path: Path, whom: str
) -> None:
    folder = tmp_path / "clone"
    call(tmp_path, "cp", "-r", str(tokenised), str(folder))
    running = subprocess.Popen(
        ["dvc", "repro", "pretrain@forward"],
        cwd=folder,
        env=environment(folder),
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
    )
    stage = wait_for_state(folder, running)
    if whom == "dvc alone":
        running.kill()
    elif whom == "the stage alone":
        os.kill(stage, signal.SIGKILL)
    else:
        os.killpg(running.pid, signal.SIGKILL)
    running.wait()
    ends = time.monotonic() + 20
    while alive(stage) and time.monotonic() < ends:
        time.sleep(0.1)
    assert not alive(stage), "the stage outlived the dvc that started it"
    again = call(folder, "dvc", "repro", "pretrain@forward")
    assert "going on from step" in again.stdout
    assert contents(folder / "models/pretrained") == undisturbed


def wait_for_state(folder: Path, running: subprocess.Popen[bytes]) -> int:
    """Wait until the running stage has written a state; returns the stage's process number."""
    while True:
        assert running.poll() is None, "dvc ended before the stage was killed"
        locks = [lock for lock in folder.glob(".resume/*/lock") if list(lock.parent.glob("state-*.pt"))]
        if locks and (number := locks[0].read_text(encoding="utf-8").strip()):
            return int(number)
        time.sleep(0.005)


def alive(process: int) -> bool:
    """Whether a process is there and not a zombie."""
    status = Path(f"/proc/{process}/stat")
    return status.exists() and status.read_text(encoding="utf-8").rsplit(")", 1)[1].split()[0] != "Z"
