"""A finished model to start from, as far as its folder shows it without its weights being read."""

from pathlib import Path
from typing import Any, NamedTuple

from pipeline.base.errors import UserError, suggest
from pipeline.base.files import read_json
from pipeline.config.suitable import Reading, reading_of

# What a folder of our own holds, and one of `transformers`; large weights of the latter are in parts with an index.
OURS = ("model.safetensors", "config.json", "tokenizer.json")
THEIRS = ("config.json", "tokenizer.json")
WEIGHTS = ("model.safetensors", "model.safetensors.index.json")


class Theirs(NamedTuple):
    """What the config of a `model_type` of `transformers` says, and where."""

    # The key that holds the positions, their number without it, and how many of them are no token's.
    key: str
    usual: int
    spare: int
    family: str


THEIR_TYPES = {
    "gpt2": Theirs("n_positions", 1024, 0, "decoder"),
    "bert": Theirs("max_position_embeddings", 512, 0, "encoder"),
    "roberta": Theirs("max_position_embeddings", 512, 2, "encoder"),
    "t5": Theirs("n_positions", 512, 0, "encoder_decoder"),
    "llama": Theirs("max_position_embeddings", 2048, 0, "decoder"),
}


class Finished(NamedTuple):
    """What must fit the other choices."""

    # The longest input in tokens, and the file that says so.
    positions: int
    where: Path
    direction: str
    reading: Reading
    # Its dropout rates, of a folder of our own.
    dropouts: dict[str, float]


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
            kind = _kind(config, content)
            positions = int(content.get(kind.key, kind.usual)) - kind.spare
            return Finished(positions, config, "forward", Reading(kind.family), {})
        model = content["model"]
        rates = {name: float(rate) for name, rate in model.items() if name.endswith("dropout")}
        return Finished(int(model["max_positions"]), config, str(content["direction"]), reading_of(model), rates)
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise UserError(f"{config}: is not the config of a language model; copy its folder whole") from error


def _kind(config: Path, content: dict[str, Any]) -> Theirs:
    name = content["model_type"]
    if name not in THEIR_TYPES:
        raise UserError(f"{config}: `model_type: {name}` is not known here; {suggest(name, THEIR_TYPES)}")
    return THEIR_TYPES[name]
