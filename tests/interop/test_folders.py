"""A language model's folder comes back as it went in, or says in one line why not."""

import json
import re
from pathlib import Path

import pytest
import torch
from tokenizers import Tokenizer, models
from torch import nn

from pipeline.base.errors import UserError
from pipeline.base.files import sha256, write_json
from pipeline.interop.folders import LoadedModel, load_language_model, save_language_model
from pipeline.interop.tensors import load_tensors, save_tensors
from pipeline.models.build import build
from pipeline.models.settings import TransformerSettings
from pipeline.models.transformer import Transformer

SETTINGS = TransformerSettings(layers=2, width=32, heads=2, feedforward=64, max_positions=16)
TOKENS = torch.tensor([[1, 2, 3, 4]])


def make_tokenizer(path: Path, entries: int) -> Path:
    Tokenizer(models.WordLevel({f"word{n}": n for n in range(entries)}, unk_token="word0")).save(str(path))
    return path


def make_model(settings: TransformerSettings = SETTINGS, seed: int = 1) -> Transformer:
    return build(settings, 40, seed=seed)


@pytest.fixture
def tokenizer(tmp_path: Path) -> Path:
    return make_tokenizer(tmp_path / "tokenizer.json", 40)


@pytest.fixture
def folder(tmp_path: Path, tokenizer: Path) -> Path:
    save_language_model(tmp_path / "saved", make_model(), direction="backward", tokenizer=tokenizer)
    return tmp_path / "saved"


def test_a_model_comes_back_with_its_tokenizer(folder: Path, tokenizer: Path) -> None:
    loaded = load_language_model(folder)
    assert isinstance(loaded, LoadedModel)
    assert (loaded.settings, loaded.vocabulary, loaded.direction) == (SETTINGS, 40, "backward")
    assert loaded.tokenizer == folder / "tokenizer.json"
    assert loaded.tokenizer.read_bytes() == tokenizer.read_bytes()
    assert torch.equal(loaded.model(TOKENS), make_model()(TOKENS))


def test_the_bytes_depend_on_the_content_alone(folder: Path, tmp_path: Path, tokenizer: Path) -> None:
    other = tmp_path / "elsewhere" / "again"
    save_language_model(other, make_model(), direction="backward", tokenizer=tokenizer)
    assert sorted(path.name for path in folder.iterdir()) == ["config.json", "model.safetensors", "tokenizer.json"]
    for path in folder.iterdir():
        assert path.read_bytes() == (other / path.name).read_bytes()
    assert str(tmp_path) not in (folder / "config.json").read_text(encoding="utf-8")


def test_a_tied_matrix_is_stored_once_and_an_untied_one_by_itself(tmp_path: Path) -> None:
    tied, untied = make_model(), make_model(TransformerSettings(**{**vars(SETTINGS), "tied": False}))
    save_tensors(tmp_path / "tied", tied)
    save_tensors(tmp_path / "untied", untied)
    assert (tmp_path / "untied").stat().st_size - (tmp_path / "tied").stat().st_size == pytest.approx(
        40 * 32 * 4, abs=99
    )
    fresh = make_model(untied.settings, seed=2)
    load_tensors(tmp_path / "untied", fresh)
    assert torch.equal(fresh.output_matrix(), untied.output_matrix())


def test_names_are_plain_whatever_wraps_the_network(tmp_path: Path) -> None:
    class Compiled(nn.Module):
        def __init__(self, inner: nn.Module) -> None:
            super().__init__()
            self._orig_mod = inner

    class Parallel(nn.Module):
        def __init__(self, inner: nn.Module) -> None:
            super().__init__()
            self.module = inner

    save_tensors(tmp_path / "plain", make_model())
    save_tensors(tmp_path / "wrapped", Parallel(Compiled(make_model())))
    assert (tmp_path / "plain").read_bytes() == (tmp_path / "wrapped").read_bytes()
    fresh = make_model(seed=2)
    load_tensors(tmp_path / "plain", Compiled(fresh))
    assert torch.equal(fresh(TOKENS), make_model()(TOKENS))


def test_a_failed_save_leaves_the_old_folder(folder: Path, tokenizer: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(source: Path, target: Path) -> None:
        raise OSError(28, "No space left on device")

    before = {path.name: path.read_bytes() for path in folder.iterdir()}
    monkeypatch.setattr("pipeline.interop.folders.shutil.copyfile", full)
    with pytest.raises(UserError, match="the disk is full"):
        save_language_model(folder, make_model(seed=9), direction="forward", tokenizer=tokenizer)
    assert {path.name: path.read_bytes() for path in folder.iterdir()} == before


def truncate(folder: Path) -> None:
    path = folder / "model.safetensors"
    path.write_bytes(path.read_bytes()[:-10])


def corrupt(folder: Path) -> None:
    (folder / "model.safetensors").write_bytes(b"\x00" * 100)


def rewrite_config(folder: Path, **changes: object) -> None:
    config = json.loads((folder / "config.json").read_text(encoding="utf-8"))
    write_json(folder / "config.json", {**config, **changes})


def larger_tokenizer(folder: Path) -> None:
    rewrite_config(folder, tokenizer=sha256(make_tokenizer(folder / "tokenizer.json", 41)))


def without_a_key(folder: Path) -> None:
    config = json.loads((folder / "config.json").read_text(encoding="utf-8"))
    del config["vocabulary"]
    write_json(folder / "config.json", config)


def misspelt_setting(folder: Path) -> None:
    model = json.loads((folder / "config.json").read_text(encoding="utf-8"))["model"]
    rewrite_config(folder, model={**model, "layer": 3})


DAMAGE = {
    "no weights": (lambda f: (f / "model.safetensors").unlink(), "model.safetensors: no such file"),
    "no config": (lambda f: (f / "config.json").unlink(), "config.json: no such file"),
    "no tokenizer": (lambda f: (f / "tokenizer.json").unlink(), "tokenizer.json: no such file"),
    "truncated": (truncate, "model.safetensors: is damaged or cut short"),
    "corrupt": (corrupt, "model.safetensors: is damaged or cut short"),
    "config is no json": (lambda f: (f / "config.json").write_text("{"), "config.json: is damaged"),
    "config is a list": (lambda f: (f / "config.json").write_text("[]"), "config.json: is of kind unknown"),
    "another kind": (lambda f: rewrite_config(f, kind="classifier"), "is of kind classifier, but a language_model is"),
    "a key is missing": (without_a_key, "config.json: key `vocabulary` is missing"),
    "a setting is misspelt": (misspelt_setting, 'config.json, model: unknown key `layer`; did you mean "layers"?'),
    "another tokenizer": (
        lambda f: make_tokenizer(f / "tokenizer.json", 39),
        "tokenizer.json: is not the tokenizer this model was trained with",
    ),
    "a larger tokenizer": (larger_tokenizer, "config.json: `vocabulary: 40` is not the 41 entries of"),
    "another width": (
        lambda f: rewrite_config(f, model={**vars(SETTINGS), "width": 64}),
        "embeddings.weight has shape (40, 32), but config.json makes it (40, 64)",
    ),
    "more layers": (
        lambda f: rewrite_config(f, model={**vars(SETTINGS), "layers": 3}),
        "lacks stack.blocks.2.attention.out.bias, ",
    ),
    "fewer layers": (
        lambda f: rewrite_config(f, model={**vars(SETTINGS), "layers": 1}),
        "has unknown stack.blocks.1.attention.out.bias, ",
    ),
}


@pytest.mark.parametrize("damage", DAMAGE)
def test_a_damaged_or_mixed_up_folder_is_one_clear_line(folder: Path, damage: str) -> None:
    harm, message = DAMAGE[damage]
    harm(folder)
    with pytest.raises(UserError, match=re.escape(message)) as caught:
        load_language_model(folder)
    assert str(folder) in str(caught.value)
    assert "\n" not in str(caught.value)


def test_a_folder_that_is_not_there_is_one_clear_line(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="nowhere: no such folder"):
        load_language_model(tmp_path / "nowhere")
