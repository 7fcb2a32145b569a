"""`ulmfit tune` refuses what cannot end well before anything is trained, and otherwise starts the search."""

import io
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from ruamel.yaml import YAML

from pipeline.cli.main import main
from pipeline.config.read import read_yaml
from tests.choices import replace_in, write_choices

MODEL, LABELS, TOKENS = "models/domain/forward", "data/prepared/task/labels.json", "data/tokens/task/train"


@pytest.fixture(autouse=True)
def _house(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write_choices(tmp_path)
    monkeypatch.chdir(tmp_path)
    for path in (MODEL, TOKENS):
        Path(path).mkdir(parents=True)
    Path(LABELS).parent.mkdir(parents=True)
    Path(LABELS).write_text("{}")


@pytest.fixture
def started(monkeypatch: pytest.MonkeyPatch) -> list[list[str]]:
    """The words of the processes that were started; each ends with exit code 3."""
    commands: list[list[str]] = []

    class Process:
        def __init__(self, words: list[str], **_: Any) -> None:
            commands.append(words)

        def wait(self) -> int:
            return 3

    monkeypatch.setattr(subprocess, "Popen", Process)
    return commands


def missing(path: str) -> str:
    return f"{path}: is not there, and tuning starts from it; run `dvc repro finetune_lm tokenise@task` first"


@pytest.mark.parametrize(
    ("words", "removed", "message"),
    [
        ([], MODEL, missing(MODEL)),
        ([], TOKENS, missing(TOKENS)),
        ([], LABELS, missing(LABELS)),
        (
            ["--name", "quick"],
            None,
            (
                "configs/classifier/quick.yaml: is there already; choose another name with --name, or overwrite it "
                "with --force"
            ),
        ),
        (["--name", "../x"], None, '--name "../x" cannot be a file name everywhere; take letters, digits and _'),
        (["--candidates", "0"], None, "--candidates 0 leaves nothing to try; ask for 1 or more"),
        (["--folds", "1"], None, "--folds 1 leaves nothing to judge by; ask for 2 or more"),
        (
            ["--candidates", "few"],
            None,
            "ulmfit tune: argument --candidates: invalid int value: 'few'; see `ulmfit tune --help`",
        ),
    ],
)
def test_what_cannot_end_well_is_one_line_and_starts_nothing(
    words: list[str],
    removed: str | None,
    message: str,
    started: list[list[str]],
    capsys: pytest.CaptureFixture[str],
) -> None:
    if removed:
        path = Path(removed)
        path.rmdir() if path.is_dir() else path.unlink()
    with pytest.raises(SystemExit) as ended:
        main(["tune", *words])
    assert ended.value.code == 1
    assert capsys.readouterr().err == f"error: {message}\n"
    assert started == []


def lock(task: str) -> str:
    """dvc.lock as the stages write it that have read the choices of the house, and `task` for the task."""
    stages = {
        "prepare_generic": "configs/dataset/corpus.yaml",
        "prepare_domain": "configs/dataset/none.yaml",
        "prepare_task": f"configs/dataset/{task}.yaml",
        "tokenizer": "configs/tokenizer/bpe.yaml",
        "pretrain@forward": "configs/model/small.yaml configs/pretrain/short.yaml",
        "finetune_lm@forward": "configs/finetune_lm/short.yaml",
    }
    read = {
        stage: {"cmd": "x", "params": {file: read_yaml(Path(file)) for file in files.split()}}
        for stage, files in stages.items()
    }
    text = io.StringIO()
    YAML().dump({"schema": "2.0", "stages": read}, text)
    return text.getvalue()


def test_what_was_made_of_another_choice_is_not_tuned_on(
    started: list[list[str]], capsys: pytest.CaptureFixture[str]
) -> None:
    Path("dvc.lock").write_text(lock("reviews"))
    with pytest.raises(SystemExit) as ended:
        main(["tune"])
    assert (ended.value.code, len(started)) == (3, 1)
    for change in (
        lambda: replace_in("configs/config.yaml", "task: reviews", "task: orders"),
        lambda: replace_in("configs/dataset/orders.yaml", "label: state", "label: state\nlabels_per_class: 5"),
    ):
        change()
        with pytest.raises(SystemExit) as ended:
            main(["tune"])
        assert (ended.value.code, len(started)) == (1, 1)
        assert capsys.readouterr().err == (
            "error: configs/config.yaml: `task: orders` is not, or no longer, what prepare_task has read here; run "
            "`dvc repro finetune_lm tokenise@task` first\n"
        )
        Path("dvc.lock").write_text(lock("orders"))


@pytest.mark.parametrize(
    ("words", "passed_on"),
    [
        ([], ["tuned_reviews", "8"]),
        (["--candidates", "3", "--folds", "4", "--name", "mine"], ["mine", "3", "4"]),
        (["--name", "quick", "--force"], ["quick", "8"]),
    ],
)
def test_the_search_runs_in_a_process_of_its_own_whose_exit_code_is_the_command_s(
    words: list[str], passed_on: list[str], started: list[list[str]]
) -> None:
    with pytest.raises(SystemExit) as ended:
        main(["tune", *words])
    assert ended.value.code == 3
    assert started == [[sys.executable, "-m", "stages.tune", *passed_on]]
