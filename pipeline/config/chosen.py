"""What a stage asks for: the config file that `configs/config.yaml` names for one of its choices."""

from pathlib import Path
from typing import Any, TypeVar

from pipeline.base.errors import UserError, suggest
from pipeline.config.read import SchemaOf, load, read_yaml

Schema = TypeVar("Schema")
CONFIGS = Path("configs")
CHOICES = CONFIGS / "config.yaml"

# Choice in config.yaml -> folder of its alternatives. `pretrained` names a folder of data/pretrained instead.
FOLDERS = {
    "generic": "dataset",
    "domain": "dataset",
    "task": "dataset",
    "tokenizer": "tokenizer",
    "model": "model",
    "pretrain": "pretrain",
    "finetune_lm": "finetune_lm",
    "classifier": "classifier",
    "blend": "blend",
    "self_train": "self_train",
    "scratch": "classifier",
    "hardware": "hardware",
}


def read_choices() -> dict[str, Any]:
    """The lines of `configs/config.yaml`, not yet validated."""
    if not CHOICES.is_file():
        raise UserError(f"{CHOICES}: no such file; run this in the repository's root folder")
    return read_yaml(CHOICES)


def choice(key: str) -> Any:
    """The value of one line of `configs/config.yaml`."""
    choices = read_choices()
    if key not in choices:
        raise UserError(f"{CHOICES}: key `{key}` is missing; add a line `{key}: ...` ({suggest(key, choices)})")
    return choices[key]


def path_of(key: str) -> Path:
    """The file behind a choice, for instance `configs/model/decoder_small.yaml` for `model`."""
    return CONFIGS / FOLDERS[key] / f"{choice(key)}.yaml"


def chosen(key: str, schema: SchemaOf[Schema]) -> Schema:
    """Load and validate the file behind a choice. Paths are relative to the repository root."""
    return load(schema, path_of(key))
