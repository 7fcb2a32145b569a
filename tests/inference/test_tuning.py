"""`ulmfit tune`'s search on a small workspace: honest about its documents, exact after a stop, no training twice."""

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from pipeline.base.errors import UserError
from pipeline.base.files import read_json, write_json
from pipeline.classifier.data import Task
from pipeline.config.blend import BlendConfig
from pipeline.config.classifier import ClassifierConfig
from pipeline.config.read import load
from pipeline.inference.held_out import HeldOut
from pipeline.inference.tuning import Unseen
from pipeline.text.prepared import read_labels, read_texts
from stages.tune import main
from tests.workspace import CONFIGS, LABELS, copies, make

# One phase of a few steps at too low a rate, so that there is something to find.
SLOW = {"unfreeze": "full", "epochs": 3, "learning_rate": 0.001, "discriminative": 1, "schedule": "cosine"}
NEW, PRESENT = Path("configs/classifier/tuned.yaml"), Path("configs/classifier/tiny.yaml")


@pytest.fixture(scope="module")
def workspace(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What tuning needs, and no test part."""
    return make(tmp_path_factory.mktemp("workspace"), classifier=SLOW)


@pytest.fixture
def here(workspace: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    folder = copies(workspace, tmp_path / "workspace")
    monkeypatch.chdir(folder)
    return folder


@pytest.fixture
def trained(monkeypatch: pytest.MonkeyPatch) -> list[tuple[str, int]]:
    """The trainings that were begun: what for, and the number of the fold."""
    begun: list[tuple[str, int]] = []
    real = HeldOut.of_fold

    @contextmanager
    def noted(self: HeldOut, number: int, *rest: Any) -> Iterator[np.ndarray]:
        begun.append((self.purpose.removeprefix("tune "), number))
        with real(self, number, *rest) as found_MC:
            yield found_MC

    monkeypatch.setattr(HeldOut, "of_fold", noted)
    return begun


def test_a_better_rate_is_found_and_written_the_same_after_a_stop_that_costs_no_finished_training(
    here: Path,
    trained: list[tuple[str, int]],
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    shutil.rmtree(here / "data/tokens/task/test", ignore_errors=True)
    assert not (here / "data/prepared/task/test.parquet").exists()
    main("tuned", "1")
    said = capsys.readouterr().out
    assert "judged by 2-fold cross-validation on 48 training documents; the test set is not used" in said
    assert "present config and candidates: 2, trainings at most 4" in said
    assert "ulmfit use classifier=tuned" in said
    assert load(ClassifierConfig, NEW) == replace(load(ClassifierConfig, PRESENT), learning_rate=0.003)
    assert not list(here.glob(".resume/*"))
    whole = [(name, fold) for name in ("present", "learning rate x 3") for fold in (0, 1)]
    assert trained == whole

    undisturbed, counting = NEW.read_bytes(), HeldOut.of_fold
    NEW.unlink()
    trained.clear()

    @contextmanager
    def stopped(self: HeldOut, *rest: Any) -> Iterator[np.ndarray]:
        if len(trained) == 3:
            raise KeyboardInterrupt
        with counting(self, *rest) as found_MC:
            yield found_MC

    with monkeypatch.context() as patch:
        patch.setattr(HeldOut, "of_fold", stopped)
        with pytest.raises(KeyboardInterrupt):
            main("tuned", "1")
    assert not NEW.exists()
    main("tuned", "1")
    assert "3 are finished already" in capsys.readouterr().out
    assert trained == whole
    assert NEW.read_bytes() == undisturbed


def test_what_is_better_for_itself_is_tried_together(here: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    labels = read_labels(here / "data/prepared/task/train.parquet")

    @contextmanager
    def knows(self: HeldOut, number: int, *_: Any) -> Iterator[np.ndarray]:
        """The more a config learns the more it knows."""
        _, held_N = self.folds[number]
        hard_MC = np.random.Generator(np.random.PCG64(number)).normal(size=(len(held_N), len(LABELS)))
        scores_MC = 1000 * self.config.learning_rate * self.config.epochs * np.eye(3)[np.array(labels)[held_N]]
        odds_MC = np.exp(scores_MC + hard_MC)
        yield odds_MC / odds_MC.sum(axis=1, keepdims=True)

    monkeypatch.setattr(HeldOut, "of_fold", knows)
    main("tuned", "3")
    changed = load(ClassifierConfig, NEW)
    assert (changed.learning_rate, changed.epochs) == (0.003, 6)
    assert NEW.read_text(encoding="utf-8").startswith("# tiny with another epochs and learning_rate, chosen by")


def test_what_a_changed_label_has_taught_is_not_taken_up_again(here: Path, trained: list[tuple[str, int]]) -> None:
    def interrupted(*_: Any) -> None:
        raise KeyboardInterrupt

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("pipeline.inference.tuning.Search._announce", interrupted)
        with pytest.raises(KeyboardInterrupt):
            main("tuned", "1")
    assert trained == [("present", 0)]
    path = here / "data/prepared/task/train.parquet"
    table = pq.read_table(path)
    labels = table["label"].to_pylist()
    labels[0] = (labels[0] + 1) % len(LABELS)
    pq.write_table(table.set_column(1, "label", pa.array(labels, pa.int32())), path)
    main("tuned", "1")
    assert trained.count(("present", 0)) == 2


def test_a_candidate_that_breaks_down_is_a_row_and_not_the_end(
    here: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    real = HeldOut.of_fold

    @contextmanager
    def breaks(self: HeldOut, *rest: Any) -> Iterator[np.ndarray]:
        if self.config.learning_rate > SLOW["learning_rate"]:
            raise UserError("the loss is not a finite number; lower the rate")
        with real(self, *rest) as found_MC:
            yield found_MC

    monkeypatch.setattr(HeldOut, "of_fold", breaks)
    main("tuned", "1")
    said = capsys.readouterr().out
    assert "learning rate x 3  failed: the loss is not a finite number\n" in said
    assert "the present config stays the best (configs/classifier/tiny.yaml); nothing was written" in said
    assert not NEW.exists()


def test_a_full_disk_is_no_verdict_on_a_candidate(here: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    real = HeldOut.of_fold

    @contextmanager
    def full(self: HeldOut, *rest: Any) -> Iterator[np.ndarray]:
        if self.config.learning_rate > SLOW["learning_rate"]:
            raise UserError("the disk is full") from OSError(28, "No space left on device")
        with real(self, *rest) as found_MC:
            yield found_MC

    monkeypatch.setattr(HeldOut, "of_fold", full)
    with pytest.raises(UserError, match="the disk is full"):
        main("tuned", "1")


def test_a_large_validation_part_judges_one_training_of_each(
    here: Path, trained: list[tuple[str, int]], capsys: pytest.CaptureFixture[str]
) -> None:
    write_json(here / "configs/blend/tiny.yaml", CONFIGS["blend"] | {"enough": 12})
    main("tuned", "1")
    assert "judged by 12 validation documents" in capsys.readouterr().out
    assert trained == [("present", 0), ("learning rate x 3", 0)]


def test_copies_of_training_documents_do_not_judge(here: Path) -> None:
    task = Task.open(here / "data/prepared/task", here / "data/tokens/task", reverse=False)
    texts, validation = (
        list(read_texts(here / f"data/prepared/task/{part}.parquet")) for part in ("train", "validation")
    )
    validation[3], validation[7] = texts[40], texts[0]
    judging_M = [row for row in range(12) if row not in (3, 7)]
    ten, eleven = (
        Unseen.choose(task, texts, validation, BlendConfig(enough=enough, folds=2), None) for enough in (10, 11)
    )
    assert ten.by == "10 validation documents (2 copies of training documents left out)"
    ((train_N, held_N),) = ten.folds
    assert train_N.tolist() == list(range(48))
    assert held_N.tolist() == [48 + row for row in judging_M]
    np.testing.assert_array_equal(ten.labels, [task.validation.targets.numpy()[judging_M]])
    assert eleven.by == "2-fold cross-validation on 48 training documents"


def test_several_labels_a_document(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    described = read_json(here / "data/prepared/task/labels.json")
    write_json(here / "data/prepared/task/labels.json", described | {"multilabel": True})
    for part in ("train", "validation"):
        path = here / f"data/prepared/task/{part}.parquet"
        table = pq.read_table(path)
        labels = [[label, (label + 1) % len(LABELS)] for label in table["label"].to_pylist()]
        pq.write_table(table.set_column(1, "label", pa.array(labels, pa.list_(pa.int32()))), path)
    main("tuned", "1")
    assert "2-fold cross-validation on 48 training documents" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("kept", "folds", "message"),
    [
        (4, None, "the task has 4 labelled training documents, too few to hold any out: tuning needs 5 or more"),
        (48, "49", "--folds 49 is more than the 48 labelled training documents; ask for fewer"),
    ],
)
def test_too_few_labels_are_one_line(
    here: Path, kept: int, folds: str | None, message: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    real = Task.open.__func__  # type: ignore[attr-defined]

    def some(cls: type[Task], *words: Any, **named: Any) -> Task:
        task = real(cls, *words, **named)
        train = task.train.subset(np.arange(kept))
        return replace(task, train=train)

    monkeypatch.setattr(Task, "open", classmethod(some))
    monkeypatch.setattr("stages.tune.read_texts", lambda path: islice(read_texts(path), kept))
    with pytest.raises(UserError) as refused:
        main("tuned", "1", *([folds] if folds else []))
    assert str(refused.value).startswith(message)
