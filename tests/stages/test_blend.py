"""The stage blend: judged by documents that no model has seen, exact after a kill, and left out when that is asked."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from pipeline.base.files import read_json, write_json
from pipeline.inference.predictor import Predictor
from pipeline.linear.blend import CAUTION
from pipeline.linear.space import learn_space, save_space
from pipeline.text.prepared import read_texts
from pipeline.training import run as training
from stages import blend
from tests.workspace import CONFIGS, contents, copies, environment, make, run

pytestmark = pytest.mark.slow
OUT = "models/classifier/blend"


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A workspace whose classifier is trained."""
    folder = make(tmp_path_factory.mktemp("workspace"))
    run(folder, "finetune_classifier", "forward")
    return folder


@pytest.fixture(scope="module")
def blended(trained: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = copies(trained, tmp_path_factory.mktemp("blended") / "workspace")
    run(folder, "blend")
    return folder


def test_parts_of_the_training_documents_judge(blended: Path) -> None:
    metrics = read_json(blended / "results/blend/metrics.json")
    assert metrics["judged_by"] == "2-fold cross-validation on 48 documents"
    assert metrics["documents"] == 48
    assert set(metrics["log_loss"]) == {"network", "nb_svm", "tfidf_lr", "blend"}
    # With so few documents the weights stay near their even shares, at a price that is bounded.
    assert metrics["log_loss"]["blend"] <= min(metrics["log_loss"].values()) + CAUTION / 48
    # The labels are told by words, which a linear model finds at once and a network of a few steps does not.
    assert metrics["linear_share"] > 0.5


def test_a_classifier_s_folder_tells_how_long_a_document_of_its_task_was_at_most(trained: Path) -> None:
    assert read_json(trained / "models/classifier/forward/config.json")["max_characters"] == 1_000_000


def test_the_predictor_takes_the_blend_along(blended: Path) -> None:
    texts = ["the anchor of the ship near the quay", "butter and flour in the oven", "prune the apple graft"]
    together = Predictor.load(blended / "models/classifier", device="cpu")
    alone = Predictor.load(blended / "models/classifier/forward", device="cpu")
    assert together.blend is not None
    assert together.predict(texts) == ["harbour", "kitchen", "orchard"]
    assert abs(together.predict_proba(texts) - alone.predict_proba(texts)).max() > 0.05


def test_killed_between_its_trainings_it_goes_on_to_equal_bytes(trained: Path, blended: Path, tmp_path: Path) -> None:
    folder = copies(trained, tmp_path / "killed")
    process = subprocess.Popen([sys.executable, "-m", "stages.blend"], cwd=folder, env=environment())
    while not list(folder.glob(".resume/blend forward 2*/state-*.pt")):
        assert process.poll() is None, "ended before it was killed"
        time.sleep(0.002)
    os.kill(process.pid, signal.SIGKILL)
    process.wait()
    assert not (folder / OUT).exists()
    again = run(folder, "blend")
    assert "going on from step" in again.stdout
    assert contents(folder / OUT) == contents(blended / OUT)
    assert contents(folder / "results/blend") == contents(blended / "results/blend")
    assert not list(folder.glob(".resume/*"))


def test_stopped_before_its_outs_are_written_it_trains_no_part_again(
    trained: Path, blended: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """After the networks there are linear models to train, on parts and on all documents, which take their time."""
    folder = copies(trained, tmp_path / "stopped")
    monkeypatch.chdir(folder)
    fits, real = [], training._fit
    monkeypatch.setattr(training, "_fit", lambda *words: (fits.append(1), real(*words)))

    def stopped(*_: object) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(blend, "write", stopped)
        with pytest.raises(KeyboardInterrupt):
            blend.main()
    begun = len(fits)
    blend.main()
    assert begun == len(fits) > 0
    assert contents(folder / OUT) == contents(blended / OUT)
    assert not list(folder.glob(".resume/*"))


@pytest.mark.ddp
def test_two_processes_weigh_alike_and_say_it_once(trained: Path, blended: Path, tmp_path: Path) -> None:
    folder = copies(trained, tmp_path / "two")
    write_json(folder / "configs/hardware/tiny.yaml", CONFIGS["hardware"] | {"strategy": "ddp", "devices": 2})
    said = run(folder, "blend").stdout
    assert said.count("linear share") == 1
    alone, both = (read_json(one / "results/blend/metrics.json") for one in (blended, folder))
    assert both["log_loss"] == pytest.approx(alone["log_loss"], abs=1e-5)
    assert both["linear_share"] == pytest.approx(alone["linear_share"], abs=1e-3)


def test_a_large_validation_part_judges_instead(trained: Path, tmp_path: Path) -> None:
    folder = copies(trained, tmp_path / "validated")
    write_json(folder / "configs/blend/tiny.yaml", CONFIGS["blend"] | {"enough": 10})
    run(folder, "blend")
    assert read_json(folder / "results/blend/metrics.json")["judged_by"] == "12 validation documents"


@pytest.mark.parametrize(
    ("enough", "judged_by", "documents"),
    [
        (10, "10 validation documents (2 copies of training documents left out)", 10),
        (11, "2-fold cross-validation on 48 documents", 48),
    ],
)
def test_copies_of_training_documents_do_not_judge(
    enough: int, judged_by: str, documents: int, trained: Path, tmp_path: Path
) -> None:
    folder = copies(trained, tmp_path / "copied")
    train, validation = (folder / f"data/prepared/task/{part}.parquet" for part in ("train", "validation"))
    rows = pq.read_table(validation)
    pq.write_table(pa.concat_tables([pq.read_table(train)[5:7], rows[2:]]), validation)
    write_json(folder / "configs/blend/tiny.yaml", CONFIGS["blend"] | {"enough": enough})
    assert f"judged by {judged_by}" in run(folder, "blend").stdout
    metrics = read_json(folder / "results/blend/metrics.json")
    assert (metrics["judged_by"], metrics["documents"]) == (judged_by, documents)


def test_validation_documents_that_judge_have_not_taught_as_unlabelled_text_either(
    trained: Path, tmp_path: Path
) -> None:
    """The text of a transductive task is the domain's too, and what EM guesses of it would speak for the guess."""
    losses = []
    for name in ("apart", "transductive"):
        folder = copies(trained, tmp_path / name)
        domain = folder / "data/prepared/domain/train.parquet"
        texts, held = (list(read_texts(one)) for one in (domain, folder / "data/prepared/task/validation.parquet"))
        save_space(folder / "models/lsa", learn_space(texts * 3, spaced=True), spaced=True)
        pq.write_table(pa.table({"text": texts if name == "apart" else [*texts, *held]}), domain)
        write_json(folder / "configs/blend/tiny.yaml", CONFIGS["blend"] | {"enough": 10, "documents": 40})
        run(folder, "blend")
        losses.append(read_json(folder / "results/blend/metrics.json")["log_loss"])
    assert {"nb_em_1", "nb_em_15"} < set(losses[0])
    assert losses[0] == losses[1]


def test_a_large_validation_part_judges_the_models_of_very_few_labels_too(trained: Path, tmp_path: Path) -> None:
    """One document a class: none can be held out, and none has to be."""
    folder = copies(trained, tmp_path / "few")
    train = folder / "data/prepared/task/train.parquet"
    rows = pq.read_table(train)
    pq.write_table(rows.take([rows["label"].to_pylist().index(label) for label in range(3)]), train)
    write_json(folder / "configs/blend/tiny.yaml", CONFIGS["blend"] | {"enough": 10})
    run(folder, "blend")
    assert read_json(folder / "results/blend/metrics.json")["judged_by"] == "12 validation documents"


def test_the_networks_label_text_for_naive_bayes_where_that_is_asked(trained: Path, tmp_path: Path) -> None:
    losses = {}
    for documents in (0, 40):
        folder = copies(trained, tmp_path / f"of-{documents}")
        texts = list(read_texts(folder / "data/prepared/domain/train.parquet"))
        save_space(folder / "models/lsa", learn_space(texts * 3, spaced=True), spaced=True)
        write_json(folder / "configs/blend/tiny.yaml", CONFIGS["blend"] | {"documents": documents})
        done = run(folder, "blend")
        assert ("its unlabelled documents" in done.stdout + done.stderr) == bool(documents)
        losses[documents] = read_json(folder / "results/blend/metrics.json")["log_loss"]
    assert "nb_em_15" in losses[40]
    for name in ("network", "lsa_lr", "nb_em_1"):
        assert losses[40][name] == losses[0][name], f"{name} sees the labels alone, or latent directions"


def test_the_network_alone_when_that_is_asked(trained: Path, tmp_path: Path) -> None:
    folder = copies(trained, tmp_path / "alone")
    write_json(folder / "configs/blend/tiny.yaml", {"weight": "none"})
    assert "the network alone" in run(folder, "blend").stdout
    assert sorted(contents(folder / OUT)) == ["beside.json", "config.json"]
    texts = ["the anchor", "butter"]
    whole, network = (Predictor.load(folder / f"models/classifier{one}", device="cpu") for one in ("", "/forward"))
    assert (whole.predict_proba(texts) == network.predict_proba(texts)).all()
