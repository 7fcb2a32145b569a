"""Promises: a state is whole or absent, a damaged one is passed over, and two runs never share a folder."""

import errno
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
import torch

from pipeline.base.errors import UserError
from pipeline.training.resume import ResumeFolder


def test_the_newest_state_comes_back_to_the_bit(tmp_path: Path) -> None:
    weights = torch.randn(5, generator=torch.Generator().manual_seed(0))
    with ResumeFolder("stage", ["a"], root=tmp_path) as folder:
        for step in (10, 20, 30):
            folder.save(0, step, {"network": {"w": weights * step}})
        folder.save(1, 5, {"network": {"w": weights}})
        state = folder.load()
        assert state is not None
        assert (state["phase"], state["step"]) == (1, 5)
        assert torch.equal(state["network"]["w"], weights)
        assert len(list(folder.path.glob("state-*.pt"))) == 2


@pytest.mark.parametrize(
    "damage",
    [
        lambda content: content[:100],
        lambda content: b"",
        lambda content: b"not at all \xff\xfe" * 50,
        lambda content: content.replace(b"step", b"\xff\xff\xff\xff", 1),
    ],
)
def test_a_damaged_state_is_passed_over_for_the_one_before(damage: Callable[[bytes], bytes], tmp_path: Path) -> None:
    with ResumeFolder("stage", ["a"], root=tmp_path) as folder:
        folder.save(0, 10, {"x": torch.ones(3)})
        folder.save(0, 20, {"x": torch.ones(3)})
        newest = sorted(folder.path.glob("state-*.pt"))[-1]
        newest.write_bytes(damage(newest.read_bytes()))
        state = folder.load()
        assert state is not None
        assert state["step"] == 10


def test_what_a_killed_write_left_behind_is_removed_and_not_read(tmp_path: Path) -> None:
    with ResumeFolder("stage", ["a"], root=tmp_path) as folder:
        (folder.path / "state-000-000000010.partial").write_bytes(b"half")
    with ResumeFolder("stage", ["a"], root=tmp_path) as folder:
        assert folder.load() is None
        assert not list(folder.path.glob("*.partial"))


def test_other_config_or_inputs_mean_another_folder(tmp_path: Path) -> None:
    with ResumeFolder("stage", ["a"], root=tmp_path) as one, ResumeFolder("stage", ["b"], root=tmp_path) as two:
        one.save(0, 10, {"x": torch.ones(3)})
        assert two.load() is None


def test_a_second_run_on_the_same_folder_is_refused_with_the_process_that_holds_it(tmp_path: Path) -> None:
    hold = (
        "import sys\nfrom pathlib import Path\nfrom pipeline.training import resume\n"
        "resume.code_digest = lambda: 'same'\n"
        "with resume.ResumeFolder('stage', ['a'], root=Path(sys.argv[1])):\n"
        "    print('held', flush=True)\n"
        "    sys.stdin.read()\n"
    )
    holder = subprocess.Popen(
        [sys.executable, "-c", hold, str(tmp_path)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    assert holder.stdout is not None
    assert holder.stdin is not None
    assert holder.stdout.readline() == "held\n"
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("pipeline.training.resume.code_digest", lambda: "same")
        with (
            pytest.raises(UserError, match=f"already running as process {holder.pid}"),
            ResumeFolder("stage", ["a"], root=tmp_path),
        ):
            pass
        holder.kill()
        holder.wait()
        with ResumeFolder("stage", ["a"], root=tmp_path):
            pass  # the lock went with the process


@pytest.mark.parametrize("number", [errno.ENOSYS, errno.ENOLCK, errno.EOPNOTSUPP])
def test_a_file_system_without_locks_is_told_and_no_hindrance(
    number: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """As Lustre and NFS are where nobody has set locks up: no second run is there to wait for."""

    def none(*_: object) -> None:
        raise OSError(number, os.strerror(number))

    monkeypatch.setattr("fcntl.flock", none)
    with ResumeFolder("stage", ["a"], root=tmp_path) as folder:
        folder.save(0, 1, {"x": torch.ones(1)})
        assert folder.load() is not None
    said = capsys.readouterr().err
    assert said == (
        f"  {folder.path}: this file system has no locks ({os.strerror(number)}); "
        "see to it that nothing else runs the same stage\n"
    )


def test_finishing_leaves_nothing_behind(tmp_path: Path) -> None:
    root = tmp_path / "resume"
    with ResumeFolder("stage", ["a"], root=root) as folder:
        folder.save(0, 1, {"x": torch.ones(1)})
        folder.finish()
    assert not root.exists()
