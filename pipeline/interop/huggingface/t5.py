"""T5 (Raffel et al. 2020), versions 1.0 and 1.1: `T5ForConditionalGeneration`.

T5 does not divide scores by sqrt(K) as we do: its query matrices come in times sqrt(K). Version 1.0 divides the output
by sqrt(D) instead of scaling the tied embeddings: ours are theirs by sqrt(D), and are multiplied with it on entering.
"""

import math
import re
from collections.abc import Container, Iterator
from typing import Any

from pipeline.interop.huggingface.config import Config
from pipeline.interop.huggingface.family import Family
from pipeline.interop.huggingface.parts import Part, joined, same
from pipeline.models.feed_forward import GATED
from pipeline.models.positions import BUCKETS, FARTHEST
from pipeline.models.settings import TransformerSettings

ACTIVATIONS = {"relu": "relu", "gelu": "gelu", "gated-gelu": "geglu_tanh", "gated-silu": "swiglu"}


def settings(config: Config, names: Container[str], tied: bool) -> TransformerSettings:
    """The network that a config.json describes."""
    layers = config.count("num_layers", 6)
    config.require("num_decoder_layers", layers)
    config.require("relative_attention_num_buckets", BUCKETS)
    config.require("relative_attention_max_distance", FARTHEST)
    # Newer files say so outright; before, only version 1.1 had `tie_word_embeddings: false`.
    scaled = config.flag("scale_decoder_outputs", config.flag("tie_word_embeddings", True))
    if scaled and not tied:
        raise config.refuse("scale_decoder_outputs", "a model with an output matrix of its own should not scale it")
    return TransformerSettings(
        layers=layers,
        width=config.count("d_model", 512),
        heads=config.count("num_heads", 8),
        feedforward=config.count("d_ff", 2048),
        max_positions=config.count("n_positions", 512),
        family="encoder_decoder",
        norm="rmsnorm",
        norm_epsilon=config.number("layer_norm_epsilon", 1e-6),
        placement="pre",
        positions="t5",
        head_width=config.count("d_kv", 64),
        activation=config.one_of("feed_forward_proj", ACTIVATIONS, "relu"),
        bias=False,
        tied=tied,
        scale_embeddings=scaled,
        embedding_dropout=config.number("dropout_rate", 0.1),
        dropout=config.number("dropout_rate", 0.1),
    )


def config(settings: TransformerSettings) -> dict[str, Any]:
    """The config.json nearest to a network."""
    names = {ours: theirs for theirs, ours in ACTIVATIONS.items()}
    return {
        "num_layers": settings.layers,
        "num_decoder_layers": settings.layers,
        "d_model": settings.width,
        "d_kv": settings.key_width,
        "num_heads": settings.heads,
        "d_ff": settings.feedforward,
        "n_positions": settings.max_positions,
        "layer_norm_epsilon": settings.norm_epsilon,
        "feed_forward_proj": names.get(settings.activation, "relu"),
        "dropout_rate": settings.dropout,
        "is_encoder_decoder": True,
        "relative_attention_num_buckets": BUCKETS,
        "relative_attention_max_distance": FARTHEST,
        "scale_decoder_outputs": settings.scale_embeddings,
        "tie_word_embeddings": settings.scale_embeddings,
    }


def parts(settings: TransformerSettings) -> Iterator[Part]:
    """All tensors."""
    shared = 1 / math.sqrt(settings.width) if settings.scale_embeddings else 1.0
    yield same("encoder.embeddings.weight", "shared.weight", factor=shared, tokens=True)
    for side, ours in (("encoder", "encoder."), ("decoder", "decoder_")):
        bias = f"{side}.block.0.layer.0.SelfAttention.relative_attention_bias.weight"
        yield same(f"{ours}positions.table.weight", bias)
        for number in range(settings.layers):
            block, layer = f"{ours}stack.blocks.{number}", f"{side}.block.{number}.layer"
            yield from _self_attention(settings, block, f"{layer}.0")
            if side == "decoder":
                yield from _cross_attention(settings, block, f"{layer}.1")
            yield from _feed_forward(settings, block, f"{layer}.{2 if side == 'decoder' else 1}")
        yield same(f"{ours}stack.norm.weight", f"{side}.final_layer_norm.weight")
    if not settings.tied:
        yield same("output.weight", "lm_head.weight", tokens=True)


def _self_attention(settings: TransformerSettings, block: str, layer: str) -> Iterator[Part]:
    rows, names = settings.heads * settings.key_width, [f"{layer}.SelfAttention.{part}.weight" for part in "qkv"]
    yield joined(f"{block}.attention.qkv.weight", names, [rows] * 3, [math.sqrt(settings.key_width), 1.0, 1.0])
    yield same(f"{block}.attention.out.weight", f"{layer}.SelfAttention.o.weight")
    yield same(f"{block}.attention_residual.norm.weight", f"{layer}.layer_norm.weight")


def _cross_attention(settings: TransformerSettings, block: str, layer: str) -> Iterator[Part]:
    rows, theirs = settings.heads * settings.key_width, f"{layer}.EncDecAttention"
    yield same(f"{block}.cross_attention.q.weight", f"{theirs}.q.weight", factor=math.sqrt(settings.key_width))
    yield joined(f"{block}.cross_attention.kv.weight", [f"{theirs}.k.weight", f"{theirs}.v.weight"], [rows] * 2)
    yield same(f"{block}.cross_attention.out.weight", f"{theirs}.o.weight")
    yield same(f"{block}.cross_residual.norm.weight", f"{layer}.layer_norm.weight")


def _feed_forward(settings: TransformerSettings, block: str, layer: str) -> Iterator[Part]:
    dense, up = f"{layer}.DenseReluDense", f"{block}.feed_forward.up.weight"
    if settings.activation in GATED:
        yield joined(up, [f"{dense}.wi_0.weight", f"{dense}.wi_1.weight"], [settings.feedforward] * 2)
    else:
        yield same(up, f"{dense}.wi.weight")
    yield same(f"{block}.feed_forward.down.weight", f"{dense}.wo.weight")
    yield same(f"{block}.feed_forward_residual.norm.weight", f"{layer}.layer_norm.weight")


T5 = Family(
    name="t5",
    architecture="T5ForConditionalGeneration",
    prefix="",
    embeddings="shared.weight",
    head="lm_head.weight",
    settings=settings,
    config=config,
    parts=parts,
    ignored=re.compile(
        r"(en|de)coder\.embed_tokens\.weight|lm_head\.weight"
        r"|decoder\.block\.0\.layer\.1\.EncDecAttention\.relative_attention_bias\.weight"  # nothing reads it
    ),
    # The decoder starts from <bos> here, from <pad> there.
    specials={
        "<pad>": ("<pad>",),
        "<bos>": ("<pad>",),
        "<eos>": ("</s>",),
        **{f"<extra_{number}>": (f"<extra_id_{number}>",) for number in range(100)},
    },
)
