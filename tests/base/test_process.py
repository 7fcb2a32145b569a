"""A stage's process: mistakes in one line with exit code 1, and no life of its own after its parent's end."""

import ctypes
import os
import signal
import subprocess
import sys
import time
from functools import partial
from pathlib import Path

import psutil
import pytest

from tests.source import ROOT

HEAD = "import sys, os, time\nfrom pipeline.base.errors import UserError\nfrom pipeline.base.process import run_stage\n"
PRODUCTS = "ONEDNN_PRIMITIVE_CACHE_CAPACITY"


def stage(tmp_path: Path, body: str, *, trains: bool = False) -> list[str]:
    """The command of a stage whose `main(*words)` is `body`."""
    script = tmp_path / "stage.py"
    script.write_text(f"{HEAD}def main(*words):\n    {body}\nrun_stage(main, trains={trains})\n", encoding="utf-8")
    return [sys.executable, str(script)]


def environment(**more: str) -> dict[str, str]:
    """This process's environment without what a stage reads from it."""
    kept = {k: v for k, v in os.environ.items() if not k.startswith(("DVC_", "ULMFIT_", "MALLOC_", "ONEDNN_"))}
    return {**kept, "PYTHONPATH": str(ROOT), **more}


def run(command: list[str], **more: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(command, capture_output=True, text=True, env=environment(**more), check=False)


def test_a_users_mistake_is_one_line_and_exit_code_1(tmp_path: Path) -> None:
    result = run(stage(tmp_path, "raise UserError('data.csv: no such file')"))
    assert (result.returncode, result.stderr, result.stdout) == (1, "error: data.csv: no such file\n", "")


def test_the_traceback_is_there_for_the_asking(tmp_path: Path) -> None:
    result = run(stage(tmp_path, "raise UserError('data.csv: no such file')"), ULMFIT_DEBUG="1")
    assert result.returncode == 1
    assert "Traceback" in result.stderr
    assert result.stderr.endswith("UserError: data.csv: no such file\n")


def test_a_defect_of_ours_keeps_its_traceback(tmp_path: Path) -> None:
    result = run(stage(tmp_path, "raise ValueError('who would have thought')"))
    assert result.returncode == 1
    assert "Traceback" in result.stderr


def test_control_c_says_how_to_go_on(tmp_path: Path) -> None:
    command = stage(tmp_path, "print('ready', flush=True); time.sleep(60)")
    # A shell that starts the tests in the background has them ignore the signal, and their children with them.
    hears = partial(signal.signal, signal.SIGINT, signal.SIG_DFL)
    pipe = subprocess.PIPE
    with subprocess.Popen(command, stdout=pipe, stderr=pipe, text=True, env=environment(), preexec_fn=hears) as process:
        assert process.stdout is not None
        assert process.stderr is not None
        process.stdout.readline()
        process.send_signal(signal.SIGINT)
        assert process.wait(timeout=20) == 130
        assert process.stderr.read() == "stopped; run the same command again to go on from the last checkpoint\n"


def test_the_words_of_the_command_reach_the_stage(tmp_path: Path) -> None:
    result = run([*stage(tmp_path, "print(words)"), "forward", "two words"])
    assert result.stdout == "('forward', 'two words')\n"


def test_under_dvc_a_stage_says_which_of_how_many_it_is(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    stages = "stages:\n  check:\n    cmd: a\n\n  train:\n    foreach: [x]\n    do:\n      cmd: b\n"
    Path("dvc.yaml").write_text(f"vars:\n  - x.yaml\n\n{stages}\nartifacts:\n  model:\n    path: b\n", encoding="utf-8")
    result = run(stage(tmp_path, "pass"), DVC_STAGE="train@forward")
    assert result.stderr == "[stage 2 of 2] train@forward\n"
    assert run(stage(tmp_path, "pass")).stderr == ""


# Prints how many blocks of 50 MB malloc takes from the kernel by themselves, to give them back at once when freed.
MAPPED_BLOCKS = """
    import ctypes
    class Info(ctypes.Structure):
        _fields_ = [(name, ctypes.c_size_t) for name in ('arena', 'chunks', 'fast', 'mapped', *'abcdef')]
    counted = ctypes.CDLL(None).mallinfo2
    counted.restype = Info
    before = counted().mapped
    held = b'x' * 50_000_000
    print(counted().mapped - before, words, os.environ.get('MALLOC_TOP_PAD_'))
"""


@pytest.mark.skipif(not hasattr(ctypes.CDLL(None), "mallinfo2"), reason="the thresholds are those of glibc")
def test_a_training_stage_keeps_its_memory_and_so_do_the_processes_it_starts(tmp_path: Path) -> None:
    assert run([*stage(tmp_path, MAPPED_BLOCKS), "a b"]).stdout == "1 ('a b',) None\n"
    trains = [*stage(tmp_path, MAPPED_BLOCKS, trains=True), "a b"]
    assert run(trains).stdout == "0 ('a b',) 268435456\n"
    assert run(trains, MALLOC_TOP_PAD_="5").stdout == "1 ('a b',) 5\n", "a choice of one's own is kept"


def test_threads_that_wait_leave_their_cores_to_other_processes() -> None:
    """Known before torch is there, whose library of threads reads it when it is loaded; a user's own value stays."""
    said = "import os, sys, stages; print(os.environ['GOMP_SPINCOUNT'], 'torch' in sys.modules)"
    inherited = {name: value for name, value in environment().items() if name != "GOMP_SPINCOUNT"}
    for mine, read in (({}, "20000 False"), ({"GOMP_SPINCOUNT": "7"}, "7 False")):
        command = [sys.executable, "-c", said]
        done = subprocess.run(command, cwd=ROOT, env=inherited | mine, capture_output=True, text=True, check=True)
        assert done.stdout.strip() == read


@pytest.mark.parametrize(
    ("trains", "given", "kept"), [(False, {}, None), (True, {}, "64"), (True, {PRODUCTS: "9"}, "9")]
)
def test_a_training_stage_keeps_few_of_onednns_products(
    trains: bool, given: dict[str, str], kept: str | None, tmp_path: Path
) -> None:
    command = stage(tmp_path, f"print(os.environ.get('{PRODUCTS}'))", trains=trains)
    assert run(command, **given).stdout == f"{kept}\n"


@pytest.mark.parametrize("name", ["pretrain", "finetune_lm", "finetune_classifier", "scratch"])
def test_a_training_stage_starts_without_what_lightning_brings_for_metrics(name: str) -> None:
    loaded = (
        f"import sys, stages.{name}; print({{'matplotlib', 'transformers', 'pytorch_lightning'}} & {{*sys.modules}})"
    )
    assert run([sys.executable, "-c", loaded]).stdout == "{'pytorch_lightning'}\n"


@pytest.mark.parametrize("trains", [False, True])
def test_a_stage_ends_with_the_dvc_that_started_it(tmp_path: Path, trains: bool) -> None:
    command = stage(tmp_path, "open('pid', 'w').write(str(os.getpid())); time.sleep(60)", trains=trains)
    (tmp_path / "dvc.yaml").write_text("stages:\n  train:\n    cmd: a\n", encoding="utf-8")
    # What DVC does, under its name: it starts a stage through a shell and waits.
    dvc = tmp_path / "dvc"
    dvc.write_text(
        f"import subprocess\nsubprocess.run({' '.join(map(repr, command))!r}, shell=True)\n", encoding="utf-8"
    )
    process = subprocess.Popen(
        [sys.executable, str(dvc)], cwd=tmp_path, env=environment(DVC_STAGE="train"), stderr=subprocess.DEVNULL
    )
    pid = tmp_path / "pid"
    try:
        _wait(lambda: pid.exists() and pid.read_text() != "", "the stage has started")
        started = psutil.Process(int(pid.read_text()))
        process.kill()
        process.wait()
        _wait(lambda: not started.is_running() or started.status() == psutil.STATUS_ZOMBIE, "the stage has ended")
    finally:
        process.kill()


def _wait(happened, what: str) -> None:  # type: ignore[no-untyped-def]
    deadline = time.monotonic() + 20
    while not happened():
        assert time.monotonic() < deadline, f"{what}: not within 20 seconds"
        time.sleep(0.05)
