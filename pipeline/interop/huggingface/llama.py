"""LLaMA (Touvron et al. 2023), without scaled rotary positions: `LlamaForCausalLM`."""

import re
from collections.abc import Container, Iterator
from typing import Any

from pipeline.base.errors import UserError
from pipeline.interop.huggingface.config import Config
from pipeline.interop.huggingface.family import Family
from pipeline.interop.huggingface.parts import Part, joined, same
from pipeline.models.settings import TransformerSettings


def settings(config: Config, names: Container[str], tied: bool) -> TransformerSettings:
    """The network that a config.json describes."""
    config.require("attention_bias", False)
    config.require("mlp_bias", False)
    heads = config.count("num_attention_heads", 32)
    return TransformerSettings(
        layers=config.count("num_hidden_layers", 32),
        width=config.count("hidden_size", 4096),
        heads=heads,
        kv_heads=config.count("num_key_value_heads", heads),
        head_width=None if config.get("head_dim") is None else config.count("head_dim"),
        feedforward=config.count("intermediate_size", 11_008),
        max_positions=config.count("max_position_embeddings", 2048),
        family="decoder",
        norm="rmsnorm",
        norm_epsilon=config.number("rms_norm_eps", 1e-6),
        placement="pre",
        positions="rotary",
        rotary_base=_rotary_base(config),
        activation=config.one_of("hidden_act", {"silu": "swiglu"}, "silu"),
        bias=False,
        tied=tied,
        scale_embeddings=False,
    )


def _rotary_base(config: Config) -> float:
    """From `rope_parameters`, or from `rope_theta` beside `rope_scaling` in older files."""
    config.require("partial_rotary_factor", 1.0)
    for key in ("rope_scaling", "rope_parameters"):
        rope = config.within(key)
        kind = rope.get("rope_type", rope.get("type", "default"))
        if kind != "default":
            raise UserError(f"{config.path}: `{key}` of type {kind} cannot be expressed here; it should be default")
    return config.within("rope_parameters").number("rope_theta", config.number("rope_theta", 10_000.0))


def config(settings: TransformerSettings) -> dict[str, Any]:
    """The config.json nearest to a network."""
    return {
        "num_hidden_layers": settings.layers,
        "hidden_size": settings.width,
        "num_attention_heads": settings.heads,
        "num_key_value_heads": settings.key_heads,
        "head_dim": settings.key_width,
        "intermediate_size": settings.feedforward,
        "max_position_embeddings": settings.max_positions,
        "rms_norm_eps": settings.norm_epsilon,
        "rope_theta": settings.rotary_base,
        "hidden_act": "silu",
        "attention_bias": False,
        "mlp_bias": False,
        "tie_word_embeddings": settings.tied,
    }


def parts(settings: TransformerSettings) -> Iterator[Part]:
    """All tensors; the halves of a head that turn together are the same."""
    queries, keys = (heads * settings.key_width for heads in (settings.heads, settings.key_heads))
    yield same("embeddings.weight", "model.embed_tokens.weight", tokens=True)
    for number in range(settings.layers):
        block, layer = f"stack.blocks.{number}", f"model.layers.{number}"
        heads = [f"{layer}.self_attn.{part}_proj.weight" for part in "qkv"]
        yield joined(f"{block}.attention.qkv.weight", heads, [queries, keys, keys])
        yield same(f"{block}.attention.out.weight", f"{layer}.self_attn.o_proj.weight")
        yield same(f"{block}.attention_residual.norm.weight", f"{layer}.input_layernorm.weight")
        gated = [f"{layer}.mlp.gate_proj.weight", f"{layer}.mlp.up_proj.weight"]
        yield joined(f"{block}.feed_forward.up.weight", gated, [settings.feedforward] * 2)
        yield same(f"{block}.feed_forward.down.weight", f"{layer}.mlp.down_proj.weight")
        yield same(f"{block}.feed_forward_residual.norm.weight", f"{layer}.post_attention_layernorm.weight")
    yield same("stack.norm.weight", "model.norm.weight")
    if not settings.tied:
        yield same("output.weight", "lm_head.weight", tokens=True)


LLAMA = Family(
    name="llama",
    architecture="LlamaForCausalLM",
    prefix="model.",
    embeddings="model.embed_tokens.weight",
    head="lm_head.weight",
    settings=settings,
    config=config,
    parts=parts,
    ignored=re.compile(r".*\.rotary_emb\.inv_freq|lm_head\.weight|score\.weight"),
    specials={"<bos>": ("<s>", "<|begin_of_text|>"), "<eos>": ("</s>", "<|end_of_text|>")},
)
