"""A network in `configs/model/` is the one that its published config.json describes, where such a file can be read.

The files are those of the model hub, with the keys that say something about the network.
"""

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from docs.make_models import settings_of
from pipeline.interop.huggingface.config import Config
from pipeline.interop.huggingface.families import family_of

T5 = {"model_type": "t5", "layer_norm_epsilon": 1e-6, "n_positions": 512, "dropout_rate": 0.1, "d_kv": 64}
GPT2 = {"model_type": "gpt2", "n_ctx": 1024, "n_positions": 1024, "layer_norm_epsilon": 1e-5}
BERT = {"model_type": "bert", "hidden_act": "gelu", "max_position_embeddings": 512, "layer_norm_eps": 1e-12}
ROBERTA = {"model_type": "roberta", "pad_token_id": 1, "layer_norm_eps": 1e-5, "max_position_embeddings": 514}
LLAMA = {"model_type": "llama", "hidden_act": "silu", "tie_word_embeddings": False}
BASE = {"hidden_size": 768, "num_attention_heads": 12, "num_hidden_layers": 12, "intermediate_size": 3072}
LARGE = {"hidden_size": 1024, "num_attention_heads": 16, "num_hidden_layers": 24, "intermediate_size": 4096}

PUBLISHED: dict[str, dict[str, Any]] = {
    "t5_small": {**T5, "d_ff": 2048, "d_model": 512, "num_heads": 8, "num_layers": 6},
    "t5_base": {**T5, "d_ff": 3072, "d_model": 768, "num_heads": 12, "num_layers": 12},
    "t5_large": {**T5, "d_ff": 4096, "d_model": 1024, "num_heads": 16, "num_layers": 24},
    "t5_3b": {**T5, "d_ff": 16384, "d_kv": 128, "d_model": 1024, "num_heads": 32, "num_layers": 24},
    "t5_11b": {**T5, "d_ff": 65536, "d_kv": 128, "d_model": 1024, "num_heads": 128, "num_layers": 24},
    "t5_v1_1_base": {
        **T5,
        **{"d_ff": 2048, "d_model": 768, "num_heads": 12, "num_layers": 12, "feed_forward_proj": "gated-gelu"},
        **{"dropout_rate": 0.0, "tie_word_embeddings": False},
    },
    "gpt2_small": {**GPT2, "n_embd": 768, "n_head": 12, "n_layer": 12},
    "gpt2_medium": {**GPT2, "n_embd": 1024, "n_head": 16, "n_layer": 24},
    "gpt2_large": {**GPT2, "n_embd": 1280, "n_head": 20, "n_layer": 36},
    "gpt2_xl": {**GPT2, "n_embd": 1600, "n_head": 25, "n_layer": 48},
    "bert_base": {**BERT, **BASE},
    "bert_large": {**BERT, **LARGE},
    "roberta_base": {**ROBERTA, **BASE},
    "roberta_large": {**ROBERTA, **LARGE},
    "llama_7b": {
        **LLAMA,
        **{"hidden_size": 4096, "num_attention_heads": 32, "num_hidden_layers": 32, "intermediate_size": 11008},
        **{"max_position_embeddings": 2048, "rms_norm_eps": 1e-6},
    },
    "llama2_70b": {
        **LLAMA,
        **{"hidden_size": 8192, "num_attention_heads": 64, "num_key_value_heads": 8, "num_hidden_layers": 80},
        **{"intermediate_size": 28672, "max_position_embeddings": 4096, "rms_norm_eps": 1e-5},
    },
}
# Whether the output matrix is the input's; the names that a checkpoint with its own head has.
UNTIED = {"t5_v1_1_base", "llama_7b", "llama2_70b"}
HEADS = {"cls.predictions.transform.dense.weight", "lm_head.dense.weight"}


@pytest.mark.parametrize("name", PUBLISHED)
def test_a_shipped_network_is_what_its_published_file_describes(name: str) -> None:
    config = Config(Path("config.json"), PUBLISHED[name])
    imported, ours = family_of(config).settings(config, HEADS, name not in UNTIED), settings_of(name)
    alike = {"head_width": ours.key_width, "kv_heads": ours.key_heads}  # said outright or not
    assert replace(imported, head_width=imported.key_width, kv_heads=imported.key_heads) == replace(ours, **alike)
