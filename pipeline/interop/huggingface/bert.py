"""BERT (Devlin et al. 2019) and RoBERTa (Liu et al. 2019): `BertForMaskedLM`, `RobertaForMaskedLM`.

A text is one segment here: the vector of the first segment is added to each position's, and goes out as zeros.
"""

import re
from collections.abc import Callable, Container, Iterator
from typing import Any, NamedTuple

import torch
from torch import Tensor

from pipeline.interop.huggingface.config import Config
from pipeline.interop.huggingface.family import Family
from pipeline.interop.huggingface.parts import Part, affine, joined, same
from pipeline.models.settings import TransformerSettings


class Kind(NamedTuple):
    """What the two do not share."""

    name: str
    # Rows of the position table before that of the first token; RoBERTa keeps them for padding.
    first: int
    # The layer between the last hidden states and the output matrix, its norm, and the bias of the scores.
    transform: str
    transform_norm: str
    bias: str


BERT_KIND = Kind("bert", 0, "cls.predictions.transform.dense", "cls.predictions.transform.LayerNorm", "cls.predictions")
ROBERTA_KIND = Kind("roberta", 2, "lm_head.dense", "lm_head.layer_norm", "lm_head")


def _settings(kind: Kind) -> Callable[[Config, Container[str], bool], TransformerSettings]:
    def settings(config: Config, names: Container[str], tied: bool) -> TransformerSettings:
        """The network that a config.json describes; one without a head for masked words has no output transform."""
        config.require("is_decoder", False)
        config.require("add_cross_attention", False)
        config.require("position_embedding_type", "absolute")
        if kind.first:
            config.require("pad_token_id", kind.first - 1)  # where the positions begin follows from it
        predicts = f"{kind.transform}.weight" in names
        return TransformerSettings(
            layers=config.count("num_hidden_layers", 12),
            width=config.count("hidden_size", 768),
            heads=config.count("num_attention_heads", 12),
            feedforward=config.count("intermediate_size", 3072),
            max_positions=config.count("max_position_embeddings", 512) - kind.first,
            family="encoder",
            norm="layernorm",
            norm_epsilon=config.number("layer_norm_eps", 1e-12),
            placement="post",
            positions="learned",
            activation=config.one_of("hidden_act", {"gelu": "gelu"}, "gelu"),
            bias=True,
            tied=tied,
            scale_embeddings=False,
            embedding_norm=True,
            output_transform=predicts,
            output_bias=predicts,
            embedding_dropout=config.number("hidden_dropout_prob", 0.1),
            dropout=config.number("hidden_dropout_prob", 0.1),
        )

    return settings


def _config(kind: Kind) -> Callable[[TransformerSettings], dict[str, Any]]:
    def config(settings: TransformerSettings) -> dict[str, Any]:
        """The config.json nearest to a network."""
        return {
            "num_hidden_layers": settings.layers,
            "hidden_size": settings.width,
            "num_attention_heads": settings.heads,
            "intermediate_size": settings.feedforward,
            "max_position_embeddings": settings.max_positions + kind.first,
            "layer_norm_eps": settings.norm_epsilon,
            "hidden_act": "gelu",
            "hidden_dropout_prob": settings.dropout,
            "attention_probs_dropout_prob": 0.0,
            "type_vocab_size": 2,
            "tie_word_embeddings": settings.tied,
        }

    return config


def _parts(kind: Kind) -> Callable[[TransformerSettings], Iterator[Part]]:
    def parts(settings: TransformerSettings) -> Iterator[Part]:
        """All tensors."""
        embeddings = f"{kind.name}.embeddings"
        yield same("embeddings.weight", f"{embeddings}.word_embeddings.weight", tokens=True)
        yield _positions(kind, embeddings)
        yield from affine("embedding_norm", f"{embeddings}.LayerNorm")
        for number in range(settings.layers):
            block, layer = f"stack.blocks.{number}", f"{kind.name}.encoder.layer.{number}"
            for name in ("weight", "bias"):
                heads = [f"{layer}.attention.self.{part}.{name}" for part in ("query", "key", "value")]
                yield joined(f"{block}.attention.qkv.{name}", heads, [settings.width] * 3)
            yield from affine(f"{block}.attention.out", f"{layer}.attention.output.dense")
            yield from affine(f"{block}.attention_residual.norm", f"{layer}.attention.output.LayerNorm")
            yield from affine(f"{block}.feed_forward.up", f"{layer}.intermediate.dense")
            yield from affine(f"{block}.feed_forward.down", f"{layer}.output.dense")
            yield from affine(f"{block}.feed_forward_residual.norm", f"{layer}.output.LayerNorm")
        if settings.output_transform:
            yield from affine("transform", kind.transform)
            yield from affine("transform_norm", kind.transform_norm)
        if settings.output_bias:
            yield same("output_bias", f"{kind.bias}.bias", tokens=True)
        if not settings.tied:
            yield same("output.weight", f"{kind.bias}.decoder.weight", tokens=True)

    return parts


def _positions(kind: Kind, embeddings: str) -> Part:
    """Positions with the first segment in them."""

    def to_ours(positions_TD: Tensor, segments_SD: Tensor) -> Tensor:
        return positions_TD[kind.first :] + segments_SD[0]

    def to_theirs(table_TD: Tensor) -> tuple[Tensor, ...]:
        width = table_TD.size(1)
        return torch.cat([table_TD.new_zeros(kind.first, width), table_TD]), table_TD.new_zeros(2, width)

    names = (f"{embeddings}.position_embeddings.weight", f"{embeddings}.token_type_embeddings.weight")
    return Part("positions.table.weight", names, to_ours, to_theirs)


def _family(kind: Kind, architecture: str, specials: dict[str, tuple[str, ...]]) -> Family:
    return Family(
        name=kind.name,
        architecture=architecture,
        prefix=f"{kind.name}.",
        embeddings=f"{kind.name}.embeddings.word_embeddings.weight",
        head=f"{kind.bias}.decoder.weight",
        settings=_settings(kind),
        config=_config(kind),
        parts=_parts(kind),
        ignored=re.compile(
            rf"{kind.name}\.(pooler\..*|embeddings\.(position|token_type)_ids)|cls\.seq_relationship\..*"
            rf"|{kind.bias}\.decoder\.(weight|bias)|classifier\..*"
        ),
        specials=specials,
    )


BERT = _family(
    BERT_KIND,
    "BertForMaskedLM",
    {
        "<pad>": ("[PAD]",),
        "<bos>": ("[CLS]",),
        "<eos>": ("[SEP]",),
        "<mask>": ("[MASK]",),
        "<cls>": ("[CLS]",),
        "<sep>": ("[SEP]",),
    },
)
ROBERTA = _family(
    ROBERTA_KIND,
    "RobertaForMaskedLM",
    {
        "<pad>": ("<pad>",),
        "<bos>": ("<s>",),
        "<eos>": ("</s>",),
        "<mask>": ("<mask>",),
        "<cls>": ("<s>",),
        "<sep>": ("</s>",),
    },
)
