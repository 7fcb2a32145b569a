"""Promises: what is trained learns; what is wrong is said in one line, and the last good state stays."""

import json
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest

from pipeline.inference.predictor import Predictor
from tests.workspace import LABELS, copies, make, run, sentences

pytestmark = [pytest.mark.slow, pytest.mark.timeout(300)]

THIRTY_TWO = {"classifier": {"epochs": 40, "unfreeze": "full", "discriminative": 1.0, "learning_rate": 0.01}}


def metrics(folder: Path, stage: str) -> dict[str, float]:
    return json.loads((folder / f"results/{stage}/forward/metrics.json").read_text(encoding="utf-8"))


@pytest.fixture(scope="module")
def workspace(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make(tmp_path_factory.mktemp("workspace"), **THIRTY_TWO)


def relabel(folder: Path, labels: np.ndarray) -> None:
    path = folder / "data/prepared/task/train.parquet"
    table = pq.read_table(path)
    field = table.schema.field("label")
    changed = table.set_column(table.schema.get_field_index("label"), field, [labels.astype(np.int32)])
    pq.write_table(changed, path)


def held_out_accuracy(folder: Path) -> float:
    documents = sentences(60, seed=99)
    predicted = Predictor.load(folder / "models/classifier/forward").predict([text for text, _ in documents])
    return float(np.mean([label == LABELS[truth] for label, (_, truth) in zip(predicted, documents, strict=True)]))


def test_a_classifier_overfits_a_few_documents_and_beats_shuffled_labels_on_others(
    workspace: Path, tmp_path: Path
) -> None:
    folder = copies(workspace, tmp_path / "true")
    run(folder, "finetune_classifier", "forward")
    assert metrics(folder, "finetune_classifier")["train_loss"] < 0.1, "it fits what it was trained on"

    control = copies(workspace, tmp_path / "shuffled")
    labels = pq.read_table(control / "data/prepared/task/train.parquet")["label"].to_numpy()
    relabel(control, np.random.Generator(np.random.PCG64(7)).permutation(labels))
    run(control, "finetune_classifier", "forward")

    assert held_out_accuracy(folder) > 0.75
    assert held_out_accuracy(control) < 0.55


def test_language_models_learn_and_the_domain_stage_goes_on_from_the_pretrained_model(
    workspace: Path, tmp_path: Path
) -> None:
    folder = copies(workspace, tmp_path / "workspace")
    run(folder, "pretrain", "forward")
    run(folder, "finetune_lm", "forward")
    first, second = metrics(folder, "pretrain"), metrics(folder, "finetune_lm")
    assert first["loss"] < first["loss_at_start"] - 0.5
    assert second["loss_at_start"] < first["loss"] + 0.5
    assert second["loss"] < second["loss_at_start"]
    assert second["perplexity"] == pytest.approx(np.exp(second["loss"]))


def test_muon_learns_the_same_in_bf16_as_in_fp32(workspace: Path, tmp_path: Path) -> None:
    """Processors that multiply bf16 train in it without being asked."""
    losses = {}
    for precision in ("fp32", "bf16"):
        folder = copies(workspace, tmp_path / precision)
        config = folder / "configs/pretrain/tiny.yaml"
        values = json.loads(config.read_text(encoding="utf-8"))
        values |= {"precision": precision, "optimizer": "muon", "muon_learning_rate": 0.02}
        config.write_text(json.dumps(values), encoding="utf-8")
        run(folder, "pretrain", "forward")
        losses[precision] = metrics(folder, "pretrain")
    assert losses["bf16"]["loss"] < losses["bf16"]["loss_at_start"] - 0.5
    assert losses["bf16"]["loss"] == pytest.approx(losses["fp32"]["loss"], rel=0.01)


def test_a_loss_that_is_not_finite_stops_the_run_and_keeps_the_last_good_state(workspace: Path, tmp_path: Path) -> None:
    folder = copies(workspace, tmp_path / "workspace")
    config = folder / "configs/pretrain/tiny.yaml"
    values = json.loads(config.read_text(encoding="utf-8"))
    # A rate that leaves the range of float32 within a few steps, after a checkpoint or two.
    values |= {"learning_rate": 1e20, "clip": 0, "schedule": "linear", "warmup": 0.9, "checkpoint_every": 1}
    config.write_text(json.dumps(values), encoding="utf-8")
    done = run(folder, "pretrain", "forward", check=False)
    assert done.returncode == 1
    errors = [line for line in done.stderr.splitlines() if line.startswith("error: ")]
    assert len(errors) == 1
    assert "not a finite number at step" in errors[0]
    assert "learning_rate" in errors[0]
    assert "Traceback" not in done.stderr
    assert not (folder / "results/pretrain").exists()


@pytest.mark.parametrize(
    ("stage", "kind", "change", "words"),
    [
        ("pretrain", "pretrain", {"length": 128, "batch_tokens": 128}, ["max_positions: 64", "length: 128"]),
        ("finetune_classifier", "classifier", {"chunk_tokens": 65}, ["chunk_tokens: 65", "max_positions: 64"]),
        ("pretrain", "pretrain", {"batch_tokens": 32_000_000}, ["fewer than one batch", "batch_tokens"]),
    ],
)
def test_settings_that_cannot_work_are_one_line(
    workspace: Path, tmp_path: Path, stage: str, kind: str, change: dict[str, object], words: list[str]
) -> None:
    folder = copies(workspace, tmp_path / "workspace")
    config = folder / f"configs/{kind}/tiny.yaml"
    config.write_text(json.dumps(json.loads(config.read_text(encoding="utf-8")) | change), encoding="utf-8")
    done = run(folder, stage, "forward", check=False)
    assert done.returncode == 1
    assert "Traceback" not in done.stderr
    for word in words:
        assert word in done.stderr


def test_damaged_shards_and_a_foreign_tokenizer_are_one_line(workspace: Path, tmp_path: Path) -> None:
    cut = copies(workspace, tmp_path / "cut")
    shard = next((cut / "data/tokens/generic/train").glob("tokens-*.bin"))
    shard.write_bytes(shard.read_bytes()[:-10])
    done = run(cut, "pretrain", "forward", check=False)
    assert done.returncode == 1
    assert shard.name in done.stderr
    assert "Traceback" not in done.stderr

    foreign = copies(workspace, tmp_path / "foreign")
    tokenizer = foreign / "models/tokenizer/tokenizer.json"
    tokenizer.write_text(tokenizer.read_text(encoding="utf-8") + "\n", encoding="utf-8")
    done = run(foreign, "pretrain", "forward", check=False)
    assert done.returncode == 1
    assert "is not the tokenizer that made" in done.stderr
    assert "Traceback" not in done.stderr
