"""Promises of a classifier's folder: the same scores to the bit, and one clear line for whatever is wrong with it."""

import json
import shutil
from pathlib import Path

import pytest
import torch

from pipeline.base.errors import UserError
from pipeline.classifier.artifact import load_classifier, save_classifier
from pipeline.interop.folders import save_language_model
from tests.classifier.small import documents, network, saved


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return saved(tmp_path_factory.mktemp("saved") / "forward")


@pytest.fixture
def folder(whole: Path, tmp_path: Path) -> Path:
    """A copy to be damaged."""
    return shutil.copytree(whole, tmp_path / "forward")


@pytest.mark.parametrize(("head_width", "pool_layers"), [(0, "last"), (16, "last"), (0, "all")])
def test_loaded_classifier_gives_the_same_scores_to_the_bit(
    folder: Path, tmp_path: Path, head_width: int, pool_layers: str
) -> None:
    vocabulary = json.loads((folder / "config.json").read_text())["vocabulary"]
    rates = (0.3, 0.2) if head_width else (0.3,)
    made = network(
        vocabulary=vocabulary,
        head_width=head_width,
        head_dropout=rates,
        causal=False,
        overlap=3,
        pooling=("mean", "last"),
        pool_layers=pool_layers,
    )
    save_classifier(
        tmp_path / "again",
        made,
        labels=["a", "b", "c"],
        multilabel=True,
        direction="backward",
        tokenizer=folder / "tokenizer.json",
    )
    loaded = load_classifier(tmp_path / "again")
    assert (loaded.labels, loaded.multilabel, loaded.direction) == (
        ("a", "b", "c"),
        True,
        "backward",
    )
    batch = made.reading.batch(documents(5, 30, 64))
    assert torch.equal(made.eval()(*batch), loaded.network(*batch))
    assert not loaded.network.training


def test_a_folder_from_before_the_head_could_read_all_layers_reads_the_last(folder: Path) -> None:
    config = json.loads((folder / "config.json").read_text())
    assert config["head"].pop("pool_layers") == "last"
    expected = load_classifier(folder).network
    (folder / "config.json").write_text(json.dumps(config))
    batch = expected.reading.batch(documents(5, 30))
    assert torch.equal(load_classifier(folder).network(*batch), expected(*batch))


def test_bytes_depend_on_content_alone(folder: Path, tmp_path: Path) -> None:
    again = saved(tmp_path / "elsewhere" / "forward")
    for path in folder.iterdir():
        assert path.read_bytes() == (again / path.name).read_bytes(), path.name


def test_damage_is_one_line_that_names_the_file(folder: Path) -> None:
    weights = folder / "model.safetensors"
    weights.write_bytes(weights.read_bytes()[:-100])
    with pytest.raises(UserError, match=r"model\.safetensors: is damaged or cut short"):
        load_classifier(folder)
    weights.unlink()
    with pytest.raises(UserError, match=r"model\.safetensors: no such file"):
        load_classifier(folder)


def test_config_cut_short_or_without_a_key_is_refused(folder: Path) -> None:
    config = folder / "config.json"
    values = json.loads(config.read_text())
    for part, key in (("reading", "overlap"), ("head", "pooling")):
        less = values | {part: {name: value for name, value in values[part].items() if name != key}}
        config.write_text(json.dumps(less))
        with pytest.raises(UserError, match=rf"config\.json: key `{key}` is missing"):
            load_classifier(folder)
    config.write_text(json.dumps({key: value for key, value in values.items() if key != "labels"}))
    with pytest.raises(UserError, match=r"config\.json: key `labels` is missing"):
        load_classifier(folder)
    config.write_text(json.dumps(values)[:50])
    with pytest.raises(UserError, match=r"config\.json: is damaged"):
        load_classifier(folder)


def test_weights_of_another_shape_are_refused(folder: Path) -> None:
    config = folder / "config.json"
    values = json.loads(config.read_text())
    config.write_text(json.dumps(values | {"labels": ["a", "b"]}))
    with pytest.raises(UserError, match=r"head\.output\.\w+ has shape"):
        load_classifier(folder)


def test_a_language_model_is_not_a_classifier(folder: Path, tmp_path: Path) -> None:
    backbone = load_classifier(folder).network.backbone
    save_language_model(tmp_path / "model", backbone, direction="forward", tokenizer=folder / "tokenizer.json")
    with pytest.raises(UserError, match="of kind language_model, but a classifier is needed"):
        load_classifier(tmp_path / "model")


def test_another_tokenizer_is_refused(folder: Path) -> None:
    tokenizer = folder / "tokenizer.json"
    tokenizer.write_text(tokenizer.read_text().replace("NFC", "NFKC"))
    with pytest.raises(UserError, match="is not the tokenizer this model was trained with"):
        load_classifier(folder)
