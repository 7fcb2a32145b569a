"""A finished model to start from, as far as its folder shows it without its weights being read."""

from pathlib import Path
from typing import Any, NamedTuple

from pipeline.base.errors import UserError, suggest
from pipeline.base.files import read_json

# What a folder of our own holds, and one of `transformers`; large weights of the latter are in parts with an index.
OURS = ("model.safetensors", "config.json", "tokenizer.json")
THEIRS = ("config.json", "tokenizer.json")
WEIGHTS = ("model.safetensors", "model.safetensors.index.json")
# Of each `model_type`: the key that holds its positions, their number without it, and how many of them are no token's.
POSITIONS = {
    "gpt2": ("n_positions", 1024, 0),
    "bert": ("max_position_embeddings", 512, 0),
    "roberta": ("max_position_embeddings", 512, 2),
    "t5": ("n_positions", 512, 0),
    "llama": ("max_position_embeddings", 2048, 0),
}


class Finished(NamedTuple):
    """What must fit the other choices."""

    # The longest input in tokens, and the file that says so.
    positions: int
    where: Path
    direction: str


def finished_model(start: str, folder: Path) -> Finished:
    """The model in a folder of our own (`start: folder`) or of `transformers` (`start: huggingface`)."""
    for name in OURS if start == "folder" else THEIRS:
        if not (folder / name).is_file():
            wanted = ", ".join(OURS)
            raise UserError(f"{folder}: {name} is missing; a language model is {wanted}")
    if start == "huggingface" and not any((folder / name).is_file() for name in WEIGHTS):
        raise UserError(
            f"{folder}: {WEIGHTS[0]} is missing; where there is a pickle (.bin) instead, "
            "`AutoModel.from_pretrained(FOLDER).save_pretrained(FOLDER)` with `transformers` converts it"
        )
    config = folder / "config.json"
    content = read_json(config)
    try:
        if start == "huggingface":
            return Finished(_positions(config, content), config, "forward")
        return Finished(int(content["model"]["max_positions"]), config, str(content["direction"]))
    except (KeyError, TypeError, ValueError) as error:
        raise UserError(f"{config}: is not the config of a language model; copy its folder whole") from error


def _positions(config: Path, content: dict[str, Any]) -> int:
    kind = content["model_type"]
    if kind not in POSITIONS:
        raise UserError(f"{config}: `model_type: {kind}` is not known here; {suggest(kind, POSITIONS)}")
    key, usual, spare = POSITIONS[kind]
    return int(content.get(key, usual)) - spare
