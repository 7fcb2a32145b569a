"""Promise (contract 4): a stage that has nothing to do passes its input through, to the byte."""

import json
import shutil
from pathlib import Path

import numpy as np
import pytest
from torch import nn

from pipeline.base.files import write_json
from pipeline.interop.folders import COMPANION, load_language_model
from pipeline.interop.tensors import save_tensors
from pipeline.language_model.spectral import align_embeddings, spectral_embeddings
from pipeline.language_model.train import embeddings_of
from pipeline.shards.read import TokenCorpus
from pipeline.shards.write import write_shards
from tests.workspace import CONFIGS, contents, copies, make, run

pytestmark = [pytest.mark.slow, pytest.mark.timeout(300)]


@pytest.fixture(scope="module")
def workspace(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make(tmp_path_factory.mktemp("workspace"))


def empty(folder: Path, role: str) -> None:
    """Leave a role without text, as `prepare` and `tokenise` do for `none`."""
    index = json.loads((folder / f"data/tokens/{role}/train/index.json").read_text(encoding="utf-8"))
    for part in ("train", "validation"):
        where = folder / f"data/tokens/{role}/{part}"
        write_shards(where, [], vocabulary=index["vocabulary"], tokenizer=index["tokenizer"])


@pytest.mark.parametrize("companion", [False, True])
def test_without_a_domain_the_pretrained_model_is_passed_on(workspace: Path, tmp_path: Path, companion: bool) -> None:
    """With what was trained beside it, by which a model of replaced tokens is known."""
    folder = copies(workspace, tmp_path / "workspace")
    empty(folder, "domain")
    if companion:
        save_tensors(folder / "models/pretrained/forward" / COMPANION, nn.Linear(2, 1))
    run(folder, "finetune_lm", "forward")
    assert contents(folder / "models/domain") == contents(folder / "models/pretrained")


def test_without_a_generic_corpus_a_fresh_network_is_passed_on(workspace: Path, tmp_path: Path) -> None:
    folder = copies(workspace, tmp_path / "workspace")
    empty(folder, "generic")
    run(folder, "pretrain", "forward")
    again = copies(folder, tmp_path / "again")
    run(again, "pretrain", "forward")
    assert contents(again / "models/pretrained") == contents(folder / "models/pretrained")
    run(folder, "finetune_lm", "forward")  # and the domain trains it


def test_somebodys_model_and_tokenizer_take_the_place_of_pretraining(workspace: Path, tmp_path: Path) -> None:
    folder = copies(workspace, tmp_path / "workspace")
    save_tensors(folder / "models/pretrained/forward" / COMPANION, nn.Linear(2, 1))
    shutil.copytree(folder / "models/pretrained/forward", folder / "data/pretrained/colleague")
    theirs = contents(folder / "data/pretrained/colleague")
    shutil.rmtree(folder / "models/pretrained")
    (folder / "configs/pretrain/tiny.yaml").write_text("start: folder\n", encoding="utf-8")
    choices = folder / "configs/config.yaml"
    text = choices.read_text(encoding="utf-8").replace('"pretrained": "none"', '"pretrained": "colleague"')
    choices.write_text(text, encoding="utf-8")
    run(folder, "pretrain", "forward")
    assert contents(folder / "models/pretrained/forward") == theirs
    # DVC does not look into the folder again when it changes: the stage itself refuses what reads the other way.
    config = folder / "data/pretrained/colleague/config.json"
    config.write_text(config.read_text(encoding="utf-8").replace('"forward"', '"backward"'), encoding="utf-8")
    done = run(folder, "pretrain", "forward", check=False)
    assert done.returncode == 1
    assert "colleague: reads backward; write `directions: [backward]`" in done.stderr


@pytest.mark.parametrize("start", ["scratch", "folder", "huggingface"])
def test_only_a_model_pretrained_here_is_moved_by_the_counts_of_the_generic_corpus(
    workspace: Path, tmp_path: Path, start: str
) -> None:
    """A finished model never read the corpus that is chosen, so its embeddings stay as they are."""
    folder = copies(workspace, tmp_path / "workspace")
    write_json(folder / "configs/pretrain/tiny.yaml", CONFIGS["pretrain"] | {"start": start})
    still = {
        "tokens": 1,
        "optimizer": "adamw",
        "learning_rate": 1e-12,
        "weight_decay": 0.0,
    }  # one step, that goes nowhere
    write_json(folder / "configs/finetune_lm/tiny.yaml", CONFIGS["finetune_lm"] | still | {"embeddings": "spectral"})
    run(folder, "finetune_lm", "forward")
    before, after = (
        embeddings_of(load_language_model(folder / f"models/{stage}/forward").model)
        for stage in ("pretrained", "domain")
    )
    generic, domain = (TokenCorpus(folder / f"data/tokens/{role}/train") for role in ("generic", "domain"))
    moved = align_embeddings(before, spectral_embeddings(domain, before.shape[1], seed=1), generic, domain)
    assert np.abs(moved - before).max() > 0.1
    np.testing.assert_allclose(after, moved if start == "scratch" else before, atol=1e-4)
