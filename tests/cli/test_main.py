"""The command `ulmfit`: starts at once, names every command, and turns a mistake into one line."""

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from pipeline.cli import main as cli
from tests.choices import write_choices
from tests.source import ROOT

HEAVY = {"torch", "numpy", "pandas", "pyarrow", "datasets", "sklearn", "pytorch_lightning", "tokenizers"}


def ulmfit(*words: str, folder: Path = ROOT, **environment: str) -> subprocess.CompletedProcess[str]:
    """Run the command in a process of its own, as a user does."""
    return subprocess.run(
        [sys.executable, "-m", "pipeline.cli.main", *words],
        capture_output=True,
        text=True,
        cwd=folder,
        env={**os.environ, "PYTHONPATH": str(ROOT), **environment},
        check=False,
    )


@pytest.mark.parametrize("words", [(), ("--help",), ("-h",), ("help",)])
def test_the_overview_names_every_command_and_the_order_of_work(words: tuple[str, ...]) -> None:
    result = ulmfit(*words)
    assert result.returncode == 0
    for name, (_, line) in cli.COMMANDS.items():
        assert re.search(rf"^  {name} +{re.escape(line)}$", result.stdout, re.MULTILINE)
    steps = [result.stdout.index(step) for step in ("ulmfit new-task", "ulmfit check", "dvc repro", "ulmfit results")]
    assert steps == sorted(steps)


def test_the_overview_takes_less_than_a_third_of_a_second() -> None:
    def once() -> float:
        before = os.times()
        ulmfit("--help")
        after = os.times()
        # Time on a processor: other work on the machine does not count.
        return after.children_user + after.children_system - before.children_user - before.children_system

    assert min(once() for _ in range(3)) < 0.3


@pytest.mark.parametrize("name", cli.COMMANDS)
def test_every_command_explains_itself_without_loading_what_only_its_work_needs(name: str) -> None:
    code = (
        "import sys; from pipeline.cli.main import main\n"
        "try: main([sys.argv[1], '--help'])\n"
        "except SystemExit as end: assert not end.code\n"
        f"print('loaded', sorted({HEAVY!r} & set(sys.modules)))"
    )
    result = subprocess.run([sys.executable, "-c", code, name], cwd=ROOT, capture_output=True, text=True, check=True)
    assert f"usage: ulmfit {name}" in result.stdout
    assert result.stdout.endswith("loaded []\n")


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (
            ("chek",),
            f'no command `chek`; did you mean "check"? (there is: {", ".join(sorted(cli.COMMANDS))})',
        ),
        (("check", "--quick"), "ulmfit check does not know `--quick`; see `ulmfit check --help`"),
        (("check", "everything"), "ulmfit check does not know `everything`; see `ulmfit check --help`"),
    ],
)
def test_wrong_words_are_one_line(words: tuple[str, ...], message: str) -> None:
    result = ulmfit(*words)
    assert (result.returncode, result.stderr, result.stdout) == (1, f"error: {message}\n", "")


@pytest.mark.parametrize("words", [("check",), ("results",), ("predict", "in.txt"), ("generate",)])
def test_outside_a_repository_the_message_says_where_to_go(tmp_path: Path, words: tuple[str, ...]) -> None:
    (tmp_path / "in.txt").write_text("a\n")
    result = ulmfit(*words, folder=tmp_path)
    assert result.stderr == "error: configs/config.yaml: no such file; run this in the repository's root folder\n"
    assert result.returncode == 1


@pytest.mark.parametrize("words", [("--debug", "check"), ("check", "--debug")])
def test_debug_shows_the_traceback_wherever_it_stands(tmp_path: Path, words: tuple[str, ...]) -> None:
    result = ulmfit(*words, folder=tmp_path)
    assert result.returncode == 1
    assert "Traceback" in result.stderr


def test_the_environment_asks_for_the_traceback_as_well(tmp_path: Path) -> None:
    assert "Traceback" in ulmfit("check", folder=tmp_path, ULMFIT_DEBUG="1").stderr


def test_control_c_ends_a_command_quietly(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    from pipeline.cli import check

    def interrupted(args: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(check, "run", interrupted)
    with pytest.raises(SystemExit) as ended:
        cli.main(["check"])
    assert ended.value.code == 130
    assert capsys.readouterr().err == "stopped\n"


def test_a_reader_that_has_seen_enough_causes_no_traceback(tmp_path: Path) -> None:
    write_choices(tmp_path)
    result = subprocess.run(
        f'"{sys.executable}" -m pipeline.cli.main check | true',
        shell=True,
        capture_output=True,
        text=True,
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        check=False,
    )
    assert result.stderr == ""


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs a device that is always full")
@pytest.mark.parametrize("words", [(), ("check",)])
def test_a_full_disk_below_standard_output_is_one_line(tmp_path: Path, words: tuple[str, ...]) -> None:
    write_choices(tmp_path)
    command = [sys.executable, "-m", "pipeline.cli.main", *words]
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    with Path("/dev/full").open("w") as full:
        result = subprocess.run(
            command, stdout=full, stderr=subprocess.PIPE, text=True, cwd=tmp_path, env=environment, check=False
        )
    assert result.stderr == "error: standard output: the disk is full; free some space and run again\n"
    assert result.returncode == 1


def test_check_prints_one_line_per_choice(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    write_choices(tmp_path)
    monkeypatch.chdir(tmp_path)
    cli.main(["check"])
    recipe = "causal, 1,000 tokens at 256 a step, adamw, peak rate 0.001, cosine"
    assert capsys.readouterr().out.splitlines() == [
        "generic      configs/dataset/corpus.yaml     text",
        "domain       configs/dataset/none.yaml       no text",
        "task         configs/dataset/reviews.yaml    csv, text text, label stars",
        "tokenizer    configs/tokenizer/bpe.yaml      byte-level BPE, 1,000 entries",
        "model        configs/model/small.yaml        decoder, 2 layers, width 32, 2 heads, 128 positions",
        f"pretrain     configs/pretrain/short.yaml     {recipe}",
        "pretrained   data/pretrained/none            not used",
        f"finetune_lm  configs/finetune_lm/short.yaml  {recipe}",
        "classifier   configs/classifier/quick.yaml   unfreeze gradual, epochs 1, adamw, peak rate 0.001, cosine",
        "blend        configs/blend/auto.yaml         a linear model beside it, judged by 500 documents or 5 parts",
        "self_train   configs/self_train/auto.yaml    a student of it, from 400 unlabelled documents, epochs 2",
        "scratch      configs/classifier/quick.yaml   unfreeze gradual, epochs 1, adamw, peak rate 0.001, cosine",
        "hardware     configs/hardware/auto.yaml      accelerator auto, devices auto, strategy auto",
        "directions   configs/config.yaml             forward",
        "all good",
    ]


def test_check_names_a_file_that_is_not_there(tmp_path: Path) -> None:
    write_choices(tmp_path)
    (tmp_path / "data/raw/reviews/reviews.csv").rename(tmp_path / "data/raw/reviews/review.csv")
    result = ulmfit("check", folder=tmp_path)
    assert result.returncode == 1
    assert (
        result.stderr
        == 'error: data/raw/reviews/reviews.csv: no such file; did you mean "review.csv"? (there is: review.csv)\n'
    )
    assert "all good" not in result.stdout


def test_check_asks_for_the_folder_of_files_kept_elsewhere(tmp_path: Path) -> None:
    write_choices(tmp_path)
    file = "$DATASETS_DIR/all.txt"
    elsewhere = f"path: text\ndata_files: {{train: {file}}}\nsha256: {{{file}: '{'0' * 64}'}}\n"
    (tmp_path / "configs/dataset/corpus.yaml").write_text(elsewhere, encoding="utf-8")
    result = ulmfit("check", folder=tmp_path, DATASETS_DIR="")
    assert result.returncode == 1
    assert "$DATASETS_DIR/all.txt: the variable DATASETS_DIR is not set" in result.stderr
