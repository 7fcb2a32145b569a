"""A language model's folder: weights, shape and tokenizer, which always travel together."""

import shutil
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from tokenizers import Tokenizer
from torch import nn

from pipeline.base import files
from pipeline.base.errors import UserError, suggest
from pipeline.base.files import sha256, whole_folder, write_json
from pipeline.config.read import parse
from pipeline.interop.tensors import load_tensors, save_tensors
from pipeline.models.build import Network, new_network
from pipeline.models.settings import ModelSettings, settings_schema

# What was trained beside the network and a later stage goes on with, where the objective has such a thing.
COMPANION = "companion.safetensors"
MODEL, CONFIG, TOKENIZER = "model.safetensors", "config.json", "tokenizer.json"
LANGUAGE_MODEL = "language_model"  # `kind` in config.json


@dataclass(frozen=True)
class LoadedModel:
    """What a language model's folder holds."""

    model: Network
    settings: ModelSettings
    vocabulary: int
    direction: str
    # The file; `config.json` and the weights were checked against it.
    tokenizer: Path
    # `companion.safetensors`, if the folder has one.
    companion: Path | None
    # What it was trained on here last; None for a network from elsewhere, or without training.
    objective: str | None = None


def save_language_model(
    folder: Path | str,
    model: Network,
    *,
    direction: str,
    tokenizer: Path,
    companion: nn.Module | None = None,
    objective: str | None = None,
) -> None:
    """Write a language model and a copy of its tokenizer; `folder` is replaced as a whole or left as it was."""
    config = network_config(LANGUAGE_MODEL, model, direction=direction, tokenizer=tokenizer) | {"objective": objective}
    with whole_folder(folder) as partial:
        save_tensors(partial / MODEL, model)
        write_json(partial / CONFIG, config)
        shutil.copyfile(tokenizer, partial / TOKENIZER)
        if companion is not None:
            save_tensors(partial / COMPANION, companion)


def load_language_model(folder: Path | str) -> LoadedModel:
    """Read what `save_language_model` wrote, on the CPU; a damaged or mixed-up folder is a `UserError`."""
    folder = Path(folder)
    config = read_config(folder, LANGUAGE_MODEL)
    model = empty_network(folder, config)
    load_tensors(folder / MODEL, model)
    companion = folder / COMPANION if (folder / COMPANION).is_file() else None
    return LoadedModel(
        model,
        model.settings,
        model.vocabulary,
        config["direction"],
        folder / TOKENIZER,
        companion,
        config.get("objective"),
    )


def network_config(kind: str, model: Network, *, direction: str, tokenizer: Path) -> dict[str, Any]:
    """The part of config.json that every folder with a network has."""
    return {
        "kind": kind,
        "model": asdict(model.settings),
        "vocabulary": model.vocabulary,
        "direction": direction,
        "tokenizer": sha256(tokenizer),
    }


def read_config(folder: Path, kind: str) -> dict[str, Any]:
    """config.json of a folder that must be of this `kind`, checked against the tokenizer that lies beside it."""
    if not folder.is_dir():
        raise UserError(f"{folder}: no such folder; run the stage that makes it (`dvc repro`)")
    path = folder / CONFIG
    config = files.read_config(path, kind)
    for key in ("model", "vocabulary", "direction", "tokenizer"):
        if key not in config:
            raise UserError(f"{path}: key `{key}` is missing; {suggest(key, config)}")
    _check_tokenizer(folder / TOKENIZER, config, path)
    return config


def empty_network(folder: Path, config: dict[str, Any]) -> Network:
    """The network that a config.json describes, its weights not yet set."""
    settings: ModelSettings = parse(settings_schema, config["model"], f"{folder / CONFIG}, model")
    return new_network(settings, config["vocabulary"])


def _check_tokenizer(tokenizer: Path, config: dict[str, Any], path: Path) -> None:
    if not tokenizer.is_file():
        raise UserError(f"{tokenizer}: no such file; a model is of no use without its own tokenizer")
    if sha256(tokenizer) != config["tokenizer"]:
        raise UserError(
            f"{tokenizer}: is not the tokenizer this model was trained with (its sha256 is not the one in {path});"
            " put the model's own tokenizer.json there"
        )
    size = Tokenizer.from_file(str(tokenizer)).get_vocab_size()
    if size != config["vocabulary"]:
        raise UserError(
            f"{path}: `vocabulary: {config['vocabulary']}` is not the {size} entries of {tokenizer};"
            " fetch or make the folder again"
        )
