"""Promise: a student learns from what the classifier says of unlabelled documents, and stands beside it then."""

import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
from scipy.special import softmax

from pipeline.base.errors import UserError
from pipeline.base.files import read_json, write_json
from pipeline.cli.main import main
from pipeline.inference.predictor import Predictor
from pipeline.linear.artifact import load_blend
from pipeline.text.prepared import read_texts
from tests.workspace import CONFIGS, contents, copies, environment, make, run

pytestmark = pytest.mark.slow
OUT, RESULTS = "models/classifier/student", "results/self_train/forward"
TEXTS = ["the anchor of the ship near the quay", "butter and flour in the oven", "prune the apple graft"]


@pytest.fixture(scope="module")
def blended(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A workspace whose network, hardly trained, and linear models are one."""
    short = {"epochs": 1, "unfreeze": "full"}
    folder = make(tmp_path_factory.mktemp("workspace"), classifier=short, self_train={"epochs": 12})
    for stage in (("finetune_classifier", "forward"), ("blend",)):
        run(folder, *stage)
    return folder


@pytest.fixture(scope="module")
def taught(blended: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = copies(blended, tmp_path_factory.mktemp("taught") / "workspace")
    run(folder, "self_train", "forward")
    return folder


def test_a_student_learns_what_its_teacher_says(taught: Path) -> None:
    texts = list(read_texts(taught / "data/prepared/task/validation.parquet"))
    said = [
        Predictor.load(taught / f"models/classifier{folder}", device="cpu", students=False).predict_proba(texts)
        for folder in ("", "/forward", "/student")
    ]
    teacher_N, network_N, student_N = (one.argmax(axis=1) for one in said)
    assert (network_N == teacher_N).mean() < 0.8 < (student_N == teacher_N).mean()
    assert read_json(taught / RESULTS / "metrics.json")["documents"] == 48 + 80


def test_a_student_has_the_networks_share(taught: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    folder = copies(taught, tmp_path / "workspace") / "models/classifier"
    config = read_json(folder / "blend/config.json")
    config["weights"]["spreads"]["network"] *= 50  # what it says is not changed, and its share is seen
    write_json(folder / "blend/config.json", config)
    (folder / "student/forward/beside.json").unlink()  # it was taught by the other weights
    both, teacher = (Predictor.load(folder, device="cpu", students=one) for one in (True, False))
    student = Predictor.load(folder / "student", device="cpu")
    share = 1 - load_blend(folder / "blend").weights.linear_share
    assert 0.05 < share < 0.95, "the test would not see whose share it is"
    odds_NC = share * np.log(student.predict_proba(TEXTS)) + (1 - share) * np.log(teacher.predict_proba(TEXTS))
    np.testing.assert_allclose(both.predict_proba(TEXTS), softmax(odds_NC, axis=1), atol=1e-6)
    (tmp_path / "texts.txt").write_text("\n".join(TEXTS), encoding="utf-8")
    main(["predict", "--model", str(folder), str(tmp_path / "texts.txt")])
    assert f"with a student of these; `--model {folder / 'student'}` is that alone" in capsys.readouterr().err


def test_killed_it_goes_on_to_equal_bytes(blended: Path, taught: Path, tmp_path: Path) -> None:
    folder = copies(blended, tmp_path / "killed")
    command = [sys.executable, "-m", "stages.self_train", "forward"]
    process = subprocess.Popen(command, cwd=folder, env=environment())
    while not list(folder.glob(".resume/self_train forward*/state-*.pt")):
        assert process.poll() is None, "ended before it was killed"
        time.sleep(0.01)
    os.kill(process.pid, signal.SIGKILL)
    process.wait()
    run(folder, "self_train", "forward")
    for out in (OUT, RESULTS):
        assert contents(folder / out) == contents(taught / out)


def test_a_student_has_no_other_student_for_a_teacher(taught: Path, tmp_path: Path) -> None:
    folder = copies(taught, tmp_path / "again")  # its student of the other direction, as it were, is there already
    (folder / OUT / "forward").rename(folder / OUT / "backward")
    run(folder, "self_train", "forward")
    assert contents(folder / OUT / "forward") == contents(taught / OUT / "forward")


@pytest.mark.parametrize(
    ("documents", "why"),
    [(0, "`documents: 0`: no student"), (40, "`documents: 40` for 48 labelled ones: no student")],
)
def test_where_there_is_no_student_the_classifier_stays_as_it_is(
    documents: int, why: str, blended: Path, tmp_path: Path
) -> None:
    folder = copies(blended, tmp_path / "workspace")
    write_json(folder / "configs/self_train/tiny.yaml", CONFIGS["self_train"] | {"documents": documents})
    before = Predictor.load(folder / "models/classifier", device="cpu").predict_proba(TEXTS)
    assert why in run(folder, "self_train", "forward").stdout
    assert read_json(folder / RESULTS / "metrics.json") == {"steps": 0, "tokens": 0, "note": why}
    assert (folder / OUT / "forward/note.txt").read_text().strip() == why
    after = Predictor.load(folder / "models/classifier", device="cpu")
    assert not after.students
    np.testing.assert_array_equal(after.predict_proba(TEXTS), before)


@pytest.mark.parametrize(
    ("changed", "told"),
    [
        ("forward/model.safetensors", "classifier/blend: was made beside another .*forward; run `dvc repro`"),
        ("blend/config.json", "student/forward: was made beside another .*blend; run `dvc repro`"),
        ("blend", "has no blend, which says what its networks weigh"),
    ],
)
def test_parts_of_two_runs_do_not_answer_as_one(changed: str, told: str, taught: Path, tmp_path: Path) -> None:
    """As an interrupted `dvc repro` leaves them: the network anew, what was made with the former one beside it."""
    folder = copies(taught, tmp_path / "workspace") / "models/classifier"
    assert len(Predictor.load(folder, device="cpu").students) == 1
    if changed == "blend":
        shutil.rmtree(folder / changed)
    else:
        content = (folder / changed).read_bytes()
        (folder / changed).unlink()
        (folder / changed).write_bytes(content + b" ")
    for model in [folder] if changed == "blend" else [folder, folder / "student"]:
        if (model, changed) == (folder / "student", "forward/model.safetensors"):
            told = "student/forward: was made beside another .*forward"
        with pytest.raises(UserError, match=told):
            Predictor.load(model, device="cpu")


@pytest.mark.parametrize(
    ("documents", "multilabel", "why"),
    [(0, False, "`documents: 0`: no student"), (80, True, "several labels a document: no student")],
)
def test_where_no_number_of_documents_would_make_a_student_none_is_read(
    documents: int, multilabel: bool, why: str, tmp_path: Path
) -> None:
    folder = make(tmp_path / "workspace", self_train={"documents": documents})
    about = folder / "data/prepared/task/labels.json"
    write_json(about, read_json(about) | {"multilabel": multilabel})
    for large in ("data/prepared/domain", "data/tokens", "models/domain"):
        shutil.rmtree(folder / large)
    assert why in run(folder, "self_train", "forward").stdout
    assert read_json(folder / RESULTS / "metrics.json")["note"] == why
    assert (folder / OUT / "forward/note.txt").read_text().strip() == why
