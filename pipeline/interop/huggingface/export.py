"""A language model of ours as a folder that `transformers` loads, where it has such a network."""

import json
from collections.abc import Container, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import safetensors.torch
from torch import Tensor

from pipeline.base.errors import UserError
from pipeline.base.files import read_json, whole_folder, write_bytes, write_json, write_text
from pipeline.interop.huggingface.cleaning import with_cleaning
from pipeline.interop.huggingface.config import Config
from pipeline.interop.huggingface.families import FAMILIES
from pipeline.interop.huggingface.family import Family
from pipeline.models.build import Network
from pipeline.models.settings import LSTMSettings, ModelSettings, TransformerSettings

# What changes training alone; what a network of this kind does not use.
UNSEEN = {"embedding_dropout", "dropout", "zero_init", "features"}
ROLES = {
    "bos_token": "<bos>",
    "eos_token": "<eos>",
    "pad_token": "<pad>",
    "mask_token": "<mask>",
    "cls_token": "<cls>",
    "sep_token": "<sep>",
}


def export_language_model(
    out: Path, network: Network, *, direction: str, tokenizer: Path, specials: Sequence[str], where: str
) -> str:
    """Write config.json, model.safetensors and the tokenizer's files to `out`; returns the class that loads them.

    `UserError`, beginning with `where`, if `transformers` has no such network.
    """
    family = fitting_family(network.settings, direction, where)
    settings = network.settings
    assert isinstance(settings, TransformerSettings)
    config = {**family.config(settings), "architectures": [family.architecture]}
    tensors = their_tensors(family, settings, network.state_dict())
    if settings.tied and not config["tie_word_embeddings"]:
        tensors[family.head] = tensors[family.embeddings]
    write_folder(out, family, config, tensors, tokenizer, specials, settings.max_positions)
    return family.architecture


def fitting_family(settings: ModelSettings, direction: str, where: str) -> Family:
    """The family that says all there is to say about a network."""
    if direction != "forward":
        raise UserError(f"{where}: reads {direction}, and `transformers` reads forward alone; export the forward model")
    if isinstance(settings, LSTMSettings):
        raise UserError(f"{where}: is an AWD-LSTM, which `transformers` does not have; it has Transformers alone")
    family = FAMILIES[_nearest(settings)]
    if settings.tied is False and settings.scale_embeddings:
        raise UserError(f"{where}: `scale_embeddings: true` with `tied: false` is in no family of `transformers`")
    theirs = _told(family, settings, where)
    for key, value in _resolved(settings).items():
        if value != (allowed := _resolved(theirs)[key]):
            raise UserError(
                f"{where}: `{key}: {_shown(value)}` cannot be said in `transformers`, where the nearest model, "
                f"{family.architecture}, has `{key}: {_shown(allowed)}`"
            )
    return family


def their_tensors(family: Family, settings: TransformerSettings, state: dict[str, Tensor]) -> dict[str, Tensor]:
    """All tensors under their names."""
    tensors: dict[str, Tensor] = {}
    for part in family.parts(settings):
        tensors.update(zip(part.theirs, part.to_theirs(state[part.ours].detach().cpu()), strict=True))
    return tensors


def write_folder(
    out: Path,
    family: Family,
    config: dict[str, Any],
    tensors: dict[str, Tensor],
    tokenizer: Path,
    specials: Sequence[str],
    longest: int,
    *,
    cleans: bool = False,
) -> None:
    """Put the files in place; `longest`: tokens of a text, beyond which `transformers` truncates when it is told to.

    `cleans`: whether the tokenizer is to read whole texts of users, as a classifier does: cleaned, and with the names
    of special tokens as plain text. A language model's must know `<mask>`.
    """
    numbers = {role: specials.index(name) for role, name in ROLES.items()}
    config = {
        **config,
        "model_type": family.name,
        "vocab_size": len(tensors[family.embeddings]),
        "dtype": "float32",
        "pad_token_id": numbers["pad_token"],
        "bos_token_id": numbers["bos_token"],
        "eos_token_id": numbers["eos_token"],
        "decoder_start_token_id": numbers["bos_token"],
    }
    whole = {name: tensor.clone().contiguous() for name, tensor in tensors.items()}
    with whole_folder(out) as partial:
        write_bytes(partial / "model.safetensors", safetensors.torch.save(whole, {"format": "pt"}))
        write_json(partial / "config.json", config)
        write_text(partial / "tokenizer.json", _as_theirs(tokenizer, specials, cleans))
        write_json(
            partial / "tokenizer_config.json",
            {
                "tokenizer_class": "PreTrainedTokenizerFast",
                "model_max_length": longest,
                "padding_side": "right",
                **({"split_special_tokens": True} if cleans else {}),
                **ROLES,
            },
        )


def _nearest(settings: TransformerSettings) -> str:
    if settings.family == "decoder":
        return "llama" if settings.norm == "rmsnorm" else "gpt2"
    # RoBERTa's network is BERT's, but for where its table of positions begins.
    return {"encoder": "bert", "encoder_decoder": "t5"}[settings.family]


def _told(family: Family, settings: TransformerSettings, where: str) -> TransformerSettings:
    """What somebody would understand who reads the config.json that we would write."""
    names: Container[str] = {name for part in family.parts(settings) for name in part.theirs}
    return family.settings(Config(Path(where), family.config(settings)), names, settings.tied)


def _resolved(settings: TransformerSettings) -> dict[str, Any]:
    """All that a network's output depends on, with what is left open filled in."""
    values = asdict(settings) | {
        "head_width": settings.key_width,
        "kv_heads": settings.key_heads,
        "embedding_width": settings.token_width,
        "rotary_base": settings.rotary_base if settings.positions == "rotary" else None,
    }
    return {key: value for key, value in values.items() if key not in UNSEEN}


def _as_theirs(tokenizer: Path, specials: Sequence[str], cleans: bool) -> str:
    """The tokenizer.json, with <bos> and <eos> put around each text, and the text cleaned where it is asked for."""
    content = read_json(tokenizer)
    if cleans:
        content["normalizer"] = with_cleaning(content["normalizer"])
    ends = {name: {"id": name, "ids": [specials.index(name)], "tokens": [name]} for name in ("<bos>", "<eos>")}
    first, last = ({"SpecialToken": {"id": name, "type_id": 0}} for name in ends)
    text = {"Sequence": {"id": "A", "type_id": 0}}
    second = {"Sequence": {"id": "B", "type_id": 0}}
    content["post_processor"] = {
        "type": "TemplateProcessing",
        "single": [first, text, last],
        "pair": [first, text, last, second, last],
        "special_tokens": ends,
    }
    return json.dumps(content, ensure_ascii=False, indent=2) + "\n"


def _shown(value: Any) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)
