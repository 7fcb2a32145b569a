"""GPT-2 (Radford et al. 2019): `GPT2LMHeadModel`."""

import re
from collections.abc import Container, Iterator
from typing import Any

from pipeline.interop.huggingface.config import Config
from pipeline.interop.huggingface.family import Family
from pipeline.interop.huggingface.parts import Part, affine, same, transposed
from pipeline.models.settings import TransformerSettings

ACTIVATIONS = {"gelu_new": "gelu_tanh", "gelu_pytorch_tanh": "gelu_tanh", "gelu": "gelu", "relu": "relu"}
MATRICES = {
    "attention.qkv": "attn.c_attn",
    "attention.out": "attn.c_proj",
    "feed_forward.up": "mlp.c_fc",
    "feed_forward.down": "mlp.c_proj",
}


def settings(config: Config, names: Container[str], tied: bool) -> TransformerSettings:
    """The network that a config.json describes."""
    config.require("add_cross_attention", False)
    config.require("scale_attn_weights", True)
    config.require("scale_attn_by_inverse_layer_idx", False)
    width = config.count("n_embd", 768)
    return TransformerSettings(
        layers=config.count("n_layer", 12),
        width=width,
        heads=config.count("n_head", 12),
        feedforward=config.count("n_inner", 4 * width),
        max_positions=config.count("n_positions", 1024),
        family="decoder",
        norm="layernorm",
        norm_epsilon=config.number("layer_norm_epsilon", 1e-5),
        placement="pre",
        positions="learned",
        activation=config.one_of("activation_function", ACTIVATIONS, "gelu_new"),
        bias=True,
        tied=tied,
        scale_embeddings=False,
        embedding_dropout=config.number("embd_pdrop", 0.1),
        dropout=config.number("resid_pdrop", 0.1),
    )


def config(settings: TransformerSettings) -> dict[str, Any]:
    """The config.json nearest to a network."""
    names = {ours: theirs for theirs, ours in reversed(ACTIVATIONS.items())}
    return {
        "n_layer": settings.layers,
        "n_embd": settings.width,
        "n_head": settings.heads,
        "n_inner": settings.feedforward,
        "n_positions": settings.max_positions,
        "layer_norm_epsilon": settings.norm_epsilon,
        "activation_function": names.get(settings.activation, "gelu_new"),
        "embd_pdrop": settings.embedding_dropout,
        "resid_pdrop": settings.dropout,
        "attn_pdrop": 0.0,
        "tie_word_embeddings": settings.tied,
    }


def parts(settings: TransformerSettings) -> Iterator[Part]:
    """All tensors; their matrices stand transposed (`Conv1D`)."""
    yield same("embeddings.weight", "transformer.wte.weight", tokens=True)
    yield same("positions.table.weight", "transformer.wpe.weight")
    for number in range(settings.layers):
        block, layer = f"stack.blocks.{number}", f"transformer.h.{number}"
        for ours, theirs in MATRICES.items():
            yield transposed(f"{block}.{ours}.weight", f"{layer}.{theirs}.weight")
            yield same(f"{block}.{ours}.bias", f"{layer}.{theirs}.bias")
        yield from affine(f"{block}.attention_residual.norm", f"{layer}.ln_1")
        yield from affine(f"{block}.feed_forward_residual.norm", f"{layer}.ln_2")
    yield from affine("stack.norm", "transformer.ln_f")
    if not settings.tied:
        yield same("output.weight", "lm_head.weight", tokens=True)


GPT2 = Family(
    name="gpt2",
    architecture="GPT2LMHeadModel",
    prefix="transformer.",
    embeddings="transformer.wte.weight",
    head="lm_head.weight",
    settings=settings,
    config=config,
    parts=parts,
    ignored=re.compile(r".*\.attn\.(bias|masked_bias)|lm_head\.weight|score\.weight"),
    specials={"<bos>": ("<|endoftext|>",), "<eos>": ("<|endoftext|>",)},
)
