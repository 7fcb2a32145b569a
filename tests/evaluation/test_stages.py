"""The stages baselines and evaluate, on a small task with real networks."""

import csv
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from pipeline.base.files import read_json, sha256, write_json, write_text
from pipeline.evaluation.predictions import read_predictions
from pipeline.inference.predictor import Predictor
from pipeline.linear import nb_svm
from pipeline.linear.artifact import Blend, save_blend
from pipeline.linear.blend import Weights
from pipeline.linear.space import save_space
from pipeline.text.prepared import PreparedWriter, task_schema
from stages import baselines, evaluate
from tests.classifier.small import LABELS, SETTINGS, TEXTS, saved

NAMES = ["a", "b", "c"]  # of tests.classifier.small
OUTS = ("metrics.json", "predictions.parquet", "confusion.csv", "calibration.csv")


def task(root: Path, *, multilabel: bool = False, test_documents: int = 24) -> None:
    """A prepared task of words that tell their class, and the classifiers of both directions."""
    sizes = {"train": 12, "validation": 0, "test": test_documents}
    for part, size in sizes.items():
        path = root / f"data/prepared/task/{part}.parquet"
        path.parent.mkdir(parents=True, exist_ok=True)
        with PreparedWriter(path, task_schema(multilabel)) as file:
            for number in range(size):
                label = number % 3
                file.write(f"{['sea', 'city', 'bread'][label]} {TEXTS[number % 4]}", [label] if multilabel else label)
    values = {"labels": NAMES, "multilabel": multilabel, "spaced": True, "transductive": False}
    write_json(root / "data/prepared/task/labels.json", values)
    write_text(root / "configs/config.yaml", "hardware: one\n")
    write_text(root / "configs/hardware/one.yaml", "accelerator: cpu\nthreads: 1\n")
    saved(root / "models/classifier/forward", multilabel=multilabel)
    saved(root / "models/classifier/backward", seed=5, direction="backward", multilabel=multilabel)
    texts = [f"{['sea', 'city', 'bread'][n % 3]} {TEXTS[n % 4]}" for n in range(12)]
    labels = np.eye(3, dtype=bool)[np.arange(12) % 3] if multilabel else np.arange(12) % 3
    save_blend(
        root / "models/classifier/blend",
        Blend(
            LABELS,
            ("forward", "backward"),
            Weights(0.6, {"nb_svm": 0.3}),
            {"nb_svm": nb_svm.fit(texts, labels, classes=3)},
        ),
    )
    saved(root / "models/scratch", seed=9, multilabel=multilabel)
    save_space(root / "models/lsa", None, spaced=True)


def run(root: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(root)
    baselines.main()
    evaluate.main("which")
    return root / "results/evaluate"


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of a task on which both stages ran."""
    root = tmp_path_factory.mktemp("task")
    task(root)
    with pytest.MonkeyPatch.context() as monkeypatch:
        run(root, monkeypatch)
    return root


def test_every_system_is_measured_and_the_pipeline_is_what_predict_says(finished: Path) -> None:
    out = finished / "results/evaluate"
    found = read_predictions(out / "predictions.parquet")
    assert list(found.systems) == ["pipeline", "scratch", "majority", "tfidf_lr", "nb_svm"]
    metrics = read_json(out / "metrics.json")
    assert set(metrics["systems"]) == set(found.systems)
    assert set(metrics["members"]) == {"network", "linear", "forward", "backward"}
    assert metrics["test"] == {
        "task": "which",
        "classes": 3,
        "documents": 24,
        "multilabel": False,
        "transductive": False,
    }
    assert metrics["systems"]["nb_svm"]["accuracy"] == 1
    assert metrics["systems"]["majority"]["accuracy"] == pytest.approx(1 / 3)
    texts = [f"{['sea', 'city', 'bread'][n % 3]} {TEXTS[n % 4]}" for n in range(24)]
    together = Predictor.load(finished / "models/classifier", device="cpu").predict_proba(texts)
    np.testing.assert_allclose(found.systems["pipeline"], together, atol=1e-6)
    with (out / "confusion.csv").open(encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    assert [row["actual"] for row in rows] == [NAMES[label] for label in found.labels]
    assert [row["predicted"] for row in rows] == [NAMES[label] for label in together.argmax(axis=1)]


def test_a_network_without_linear_models_is_measured_as_sure_as_its_weight_makes_it(tmp_path, monkeypatch) -> None:
    task(tmp_path)
    both = ("forward", "backward")
    save_blend(tmp_path / "models/classifier/blend", Blend(LABELS, both, Weights(0.5), {}))
    found = read_predictions(run(tmp_path, monkeypatch) / "predictions.parquet").systems["pipeline"]
    texts = [f"{['sea', 'city', 'bread'][n % 3]} {TEXTS[n % 4]}" for n in range(24)]
    alone = [Predictor.load(tmp_path / "models/classifier" / one, device="cpu").predict_proba(texts) for one in both]
    np.testing.assert_allclose(found, Weights(0.5).pooled(np.mean(alone, axis=0), {}, False), atol=1e-6)
    assert np.abs(found - np.mean(alone, axis=0)).max() > 1e-3


def test_a_student_stands_beside_its_teacher(finished: Path, tmp_path, monkeypatch) -> None:
    task(tmp_path)
    saved(tmp_path / "models/classifier/student/forward", seed=7)
    saved(tmp_path / "models/classifier/student/backward", seed=8, direction="backward")
    out = run(tmp_path, monkeypatch)
    metrics, before = (read_json(one / "metrics.json") for one in (out, finished / "results/evaluate"))
    assert set(metrics["members"]) == {"student", "teacher", "network", "linear", "forward", "backward"}
    assert metrics["members"]["teacher"]["log_loss"] == before["systems"]["pipeline"]["log_loss"]
    texts = [f"{['sea', 'city', 'bread'][n % 3]} {TEXTS[n % 4]}" for n in range(24)]
    together = Predictor.load(tmp_path / "models/classifier", device="cpu").predict_proba(texts)
    pipeline_NC = read_predictions(out / "predictions.parquet").systems["pipeline"]
    np.testing.assert_allclose(pipeline_NC, together, atol=1e-6)
    without_NC = read_predictions(finished / "results/evaluate/predictions.parquet").systems["pipeline"]
    assert np.abs(pipeline_NC - without_NC).max() > 0.01


def test_a_comparison_of_another_shape_is_not_called_the_same_network(finished: Path, tmp_path, monkeypatch) -> None:
    """Where a finished model was taken; the network without pretraining is that of configs/model/."""
    task(tmp_path)
    saved(tmp_path / "models/scratch", seed=9, settings=replace(SETTINGS, layers=1))
    systems = list(read_json(run(tmp_path, monkeypatch) / "metrics.json")["systems"])
    same = list(read_json(finished / "results/evaluate/metrics.json")["systems"])
    assert systems == sorted("other_scratch" if name == "scratch" else name for name in same)


def test_a_run_elsewhere_writes_equal_bytes(finished: Path, tmp_path, monkeypatch) -> None:
    task(tmp_path)
    again = run(tmp_path, monkeypatch)
    for name in OUTS:
        assert sha256(again / name) == sha256(finished / "results/evaluate" / name)


def test_a_test_part_that_was_read_unlabelled_is_marked(tmp_path, monkeypatch) -> None:
    task(tmp_path)
    labels = tmp_path / "data/prepared/task/labels.json"
    write_json(labels, read_json(labels) | {"transductive": True})
    assert read_json(run(tmp_path, monkeypatch) / "metrics.json")["test"]["transductive"] is True


def test_several_labels_a_document(tmp_path, monkeypatch) -> None:
    task(tmp_path, multilabel=True)
    out = run(tmp_path, monkeypatch)
    metrics = read_json(out / "metrics.json")["systems"]
    assert metrics["tfidf_lr"]["label_ranking_average_precision"] == 1
    assert (out / "confusion.csv").read_text(encoding="utf-8") == "actual,predicted\n"


def test_without_a_test_part_every_file_is_there_and_empty(tmp_path, monkeypatch, capsys) -> None:
    task(tmp_path, test_documents=0)
    out = run(tmp_path, monkeypatch)
    assert read_json(out / "metrics.json") == {
        "test": {"task": "which", "classes": 3, "documents": 0, "multilabel": False, "transductive": False},
        "systems": {},
        "members": {},
        "lead": {},
    }
    assert read_predictions(out / "predictions.parquet").systems == {}
    assert (out / "calibration.csv").read_text(encoding="utf-8") == "confidence,accuracy,count\n"
    assert "no test part" in capsys.readouterr().out
