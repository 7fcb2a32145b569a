"""Progress: one line that redraws itself on a terminal, a plain line now and then where there is none."""

import os
import pty
import subprocess
import sys
from types import SimpleNamespace

import pytest

from pipeline.base import progress
from pipeline.base.progress import Progress, quantity, seconds, track


@pytest.mark.parametrize(
    ("span", "shown"),
    [(0, "0s"), (-3, "0s"), (59.4, "59s"), (59.6, "1m00s"), (185, "3m05s"), (3599.7, "1h00m"), (90_000, "25h00m")],
)
def test_time_is_written_as_people_write_it(span: float, shown: str) -> None:
    assert seconds(span) == shown


@pytest.mark.parametrize(
    ("number", "shown"),
    [(0, "0"), (950, "950"), (12_345, "12.3k"), (4_560_000, "4.56M"), (2.5e9, "2.5G"), (3e12, "3T")],
)
def test_a_count_has_three_digits(number: float, shown: str) -> None:
    assert quantity(number) == shown


def test_without_a_terminal_every_line_is_whole(capsys: pytest.CaptureFixture[str]) -> None:
    with Progress("tokenise", 4, "documents") as bar:
        bar.update(1)
        bar.update(3, loss="2.5")
    out, err = capsys.readouterr()
    assert out == ""
    lines = err.splitlines()
    assert len(lines) == 1, "quick work is one line, its last"
    assert lines[0].startswith("  tokenise: 100% 4/4 documents | loss 2.5 | ")
    assert lines[0].endswith("took 0s")
    assert "\r" not in err


def test_without_a_terminal_slow_work_is_heard_of(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(progress, "PLAIN_LINE_EVERY", 0.0)
    assert list(track("abcd", "read", total=4)) == list("abcd")
    lines = capsys.readouterr().err.splitlines()
    assert [line.split(" | ")[0] for line in lines[:4]] == [
        f"  read: {percent} {done}/4" for done, percent in ((1, " 25%"), (2, " 50%"), (3, " 75%"), (4, "100%"))
    ]
    assert " left" in lines[0]


def test_work_of_an_unknown_size_shows_what_is_done(capsys: pytest.CaptureFixture[str]) -> None:
    with Progress("read", None, "rows") as bar:
        bar.update(1500)
    assert capsys.readouterr().err.startswith("  read: 1.5k rows | ")


def test_a_resumed_run_counts_the_old_work_as_done_and_not_as_speed(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    clock = iter([0.0, 1.0, 2.0])
    monkeypatch.setattr(progress, "time", SimpleNamespace(monotonic=lambda: next(clock)))
    with Progress("train", 100, "steps") as bar:
        bar.resume_at(90)
        bar.update(4)
    assert capsys.readouterr().err == "  train:  94% 94/100 steps | 2 steps/s | took 2s\n"


def on_a_terminal(code: str, columns: int = 60) -> str:
    """What a Python program writes to standard error when that is a terminal."""
    master, slave = pty.openpty()
    if columns:
        import fcntl
        import struct
        import termios

        fcntl.ioctl(slave, termios.TIOCSWINSZ, struct.pack("HHHH", 24, columns, 0, 0))
    subprocess.run([sys.executable, "-c", code], stderr=slave, check=False)
    os.close(slave)
    written = b""
    while True:
        try:
            block = os.read(master, 65536)
        except OSError:  # Linux: the last writer is gone
            break
        if not block:
            break
        written += block
    os.close(master)
    return written.decode().replace("\r\n", "\n")


QUICK = """
from pipeline.base import progress
progress.REFRESH_EVERY = 0
with progress.Progress("train", 2, "steps") as bar:
    bar.update(1, loss="2.500")
    bar.update(1, loss="2.25")
    {then}
"""


def test_on_a_terminal_one_line_redraws_itself_and_fits() -> None:
    written = on_a_terminal(QUICK.format(then=""))
    assert written.count("\n") == 1
    assert written.endswith("\n")
    first, second, last = written.rstrip("\n").split("\r")[1:]
    assert first.startswith("  train  " + "█" * 12 + "░" * 12)
    assert second.startswith("  train  " + "█" * 24)
    assert len(second) >= len(first.rstrip()), "a shorter line wipes out the longer one before it"
    assert all(len(line) < 60 for line in (first, second, last))


def test_on_a_terminal_an_error_begins_on_a_line_of_its_own() -> None:
    written = on_a_terminal(QUICK.format(then="raise SystemExit('error: no more data')"))
    assert written.endswith("\nerror: no more data\n")


def test_a_terminal_that_does_not_know_its_width_gets_80_columns() -> None:
    written = on_a_terminal(QUICK.format(then=""), columns=0)
    assert "2/2 steps" in written
