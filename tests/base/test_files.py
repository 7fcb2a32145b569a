"""A file or folder is whole or absent, whatever happens while it is written."""

import errno
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from pipeline.base import files
from pipeline.base.errors import UserError


def names(folder: Path) -> list[str]:
    """What lies in a folder, hidden files included."""
    return sorted(path.name for path in folder.iterdir())


def fails_with(number: int) -> Any:
    """A stand-in for a system call that fails."""

    def call(*words: object, **more: object) -> None:
        raise OSError(number, os.strerror(number))

    return call


def test_a_written_file_replaces_the_old_one_and_leaves_nothing_beside_it(tmp_path: Path) -> None:
    path = tmp_path / "new folder" / "file.txt"
    files.write_text(path, "old")
    files.write_text(path, "neu: 새 글\n")
    assert path.read_bytes() == "neu: 새 글\n".encode()
    assert names(path.parent) == ["file.txt"]


@pytest.mark.parametrize("number", [errno.ENOSPC, errno.EDQUOT])
def test_a_full_disk_is_one_line_and_the_old_file_stays(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, number: int
) -> None:
    path = tmp_path / "model.json"
    files.write_text(path, "old")
    monkeypatch.setattr(os, "fsync", fails_with(number))
    with pytest.raises(UserError) as caught:
        files.write_text(path, "new")
    assert str(caught.value) == f"{path}: the disk is full; free some space and run again, nothing was lost"
    assert path.read_text() == "old"
    assert names(tmp_path) == ["model.json"]


def test_a_full_disk_while_a_folder_is_filled_leaves_the_old_folder(tmp_path: Path) -> None:
    path = tmp_path / "model"
    with files.whole_folder(path) as folder:
        (folder / "weights").write_text("old")

    def fill() -> None:
        with files.whole_folder(path) as folder:
            (folder / "weights").write_text("half")
            fails_with(errno.ENOSPC)()

    with pytest.raises(UserError, match="the disk is full"):
        fill()
    assert (path / "weights").read_text() == "old"
    assert names(tmp_path) == ["model"]


def test_a_missing_permission_says_what_to_check(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "model.json"
    monkeypatch.setattr(Path, "open", fails_with(errno.EACCES))
    with pytest.raises(UserError) as caught:
        files.write_text(path, "new")
    assert str(caught.value) == f"{path}: cannot be written (Permission denied); check the folder's permissions"


def place_without_files(tmp_path: Path, kind: str) -> tuple[Path, str]:
    """A path at which there can be nothing, and what is to be said of it."""
    (tmp_path / "table.csv").write_text("old")
    return {
        "below a file": (tmp_path / "table.csv/out", "a file stands where its folder would be; name another place"),
        "further below": (tmp_path / "table.csv/a/out", "a file stands where its folder would be; name another place"),
        "long": (tmp_path / ("x" * 300), "cannot be written (File name too long); name another place"),
        "below a long one": (tmp_path / ("x" * 300) / "out", "cannot be written (File name too long); name another"),
    }[kind]


@pytest.mark.parametrize("kind", ["below a file", "further below", "long", "below a long one"])
@pytest.mark.parametrize("whole", [files.whole_file, files.whole_folder])
def test_a_place_where_nothing_can_be_is_one_line(tmp_path: Path, whole: Any, kind: str) -> None:
    path, said = place_without_files(tmp_path, kind)
    with pytest.raises(UserError) as caught, whole(path):
        pytest.fail("nothing should be written")
    assert str(caught.value).startswith(f"{path}: {said}")
    assert (tmp_path / "table.csv").read_text() == "old"


@pytest.mark.skipif(not Path("/proc/self").exists(), reason="needs a file system that takes no new files")
def test_a_file_system_that_takes_no_new_files_is_one_line() -> None:
    with pytest.raises(UserError, match=r"^/proc/out: cannot be written \(.*\); (name another place|check the folder)"):
        files.write_text("/proc/out", "new")


def test_a_missing_file_that_is_read_while_another_is_written_is_not_dressed_up(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError), files.whole_file(tmp_path / "out"):
        (tmp_path / "in").read_text()
    assert names(tmp_path) == []


def test_another_failure_is_not_dressed_up(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "fsync", fails_with(errno.EIO))
    with pytest.raises(OSError, match="Input/output error"):
        files.write_text(tmp_path / "file", "new")


def test_a_process_killed_while_it_writes_leaves_the_old_file(tmp_path: Path) -> None:
    path = tmp_path / "file"
    files.write_text(path, "old")
    killed = (
        "import os, signal, sys; from pipeline.base.files import whole_file\n"
        "with whole_file(sys.argv[1]) as file:\n"
        "    file.write(b'half'); file.flush(); os.kill(os.getpid(), signal.SIGKILL)"
    )
    assert subprocess.run([sys.executable, "-c", killed, str(path)], check=False).returncode == -9
    assert path.read_text() == "old"


def test_a_folder_is_replaced_as_a_whole(tmp_path: Path) -> None:
    path = tmp_path / "model"
    for name in ("first", "second"):
        with files.whole_folder(path) as folder:
            assert names(folder) == []
            (folder / name).write_text(name)
    assert names(path) == ["second"]
    assert names(tmp_path) == ["model"]


def test_left_overs_of_a_killed_run_do_not_get_into_a_folder(tmp_path: Path) -> None:
    left = tmp_path / ".model.partial"
    left.mkdir()
    (left / "half").write_text("half")
    with files.whole_folder(tmp_path / "model") as folder:
        (folder / "weights").write_text("new")
    assert names(tmp_path / "model") == ["weights"]


def test_a_folder_in_the_place_of_a_file_is_refused_before_anything_is_written(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="is a folder; name a file"), files.whole_file(tmp_path):
        pytest.fail("nothing should be written")


def test_json_depends_on_the_value_alone(tmp_path: Path) -> None:
    files.write_json(tmp_path / "one", {"b": 1, "a": "é"})
    files.write_json(tmp_path / "two", {"a": "é", "b": 1})
    assert (tmp_path / "one").read_bytes() == '{\n  "a": "é",\n  "b": 1\n}\n'.encode()
    assert (tmp_path / "one").read_bytes() == (tmp_path / "two").read_bytes()
    assert files.read_json(tmp_path / "one") == {"a": "é", "b": 1}


def test_json_refuses_what_other_readers_would_not_understand(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="not JSON compliant"):
        files.write_json(tmp_path / "file", {"loss": float("nan")})
    assert names(tmp_path) == []


def test_a_missing_json_file_names_the_way_to_make_it(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"labels.json: no such file; run the stage that makes it \(`dvc repro`\)$"):
        files.read_json(tmp_path / "labels.json")


@pytest.mark.parametrize("content", [b'{"a": ', b"\xff\xfe"])
def test_a_damaged_json_file_is_named_in_one_line(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "labels.json").write_bytes(content)
    with pytest.raises(UserError, match=r"labels\.json: is damaged") as caught:
        files.read_json(tmp_path / "labels.json")
    assert "\n" not in str(caught.value)


def test_a_checksum_is_that_of_the_bytes(tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"abc")
    assert files.sha256(tmp_path / "file") == "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"


def test_a_digest_of_parts_tells_where_they_end() -> None:
    assert files.digest(["ab", "c"]) != files.digest(["a", "bc"])
    assert files.digest(["ab", "c"]) == files.digest(iter(["ab", "c"]))
