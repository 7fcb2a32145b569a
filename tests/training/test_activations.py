"""Promise: what the micro batch and `ulmfit plan` believe a sequence to hold is what autograd really holds of it."""

from dataclasses import replace
from typing import Any

import pytest
import torch
from torch import Tensor

from pipeline.config.hardware import HardwareConfig
from pipeline.models.build import build
from pipeline.models.settings import LSTMSettings, ModelSettings, TransformerSettings
from pipeline.training.activations import kept_bytes
from pipeline.training.place import SHARE_OF_MEMORY, Place

PLAIN = TransformerSettings(layers=3, width=32, heads=2, feedforward=64, max_positions=48, dropout=0.1)
NETWORKS: dict[str, ModelSettings] = {
    "plain": PLAIN,
    "post, learned, swiglu": replace(PLAIN, placement="post", positions="learned", activation="swiglu", norm="rmsnorm"),
    "distances": replace(PLAIN, positions="transformer_xl"),
    "linear": replace(PLAIN, attention="linear"),
    "shared encoder": replace(PLAIN, family="encoder", share_layers=True, positions="t5"),
    "encoder-decoder": replace(PLAIN, family="encoder_decoder", positions="t5"),
    "lstm": LSTMSettings(backbone="lstm", layers=3, width=32, hidden=48),
}


def held(settings: ModelSettings, rows: int, tokens: int, precision: str) -> int:
    """Bytes of what a real forward pass keeps, shared casts and masks included."""
    network = build(settings, 300, seed=1).train()
    weights = {parameter.data_ptr() for parameter in network.parameters()}
    kept: dict[int, Tensor] = {}

    def note(tensor: Tensor) -> Tensor:
        kept.setdefault(tensor.untyped_storage().data_ptr(), tensor)
        return tensor

    tokens_BT = torch.zeros(rows, tokens, dtype=torch.int64)
    source: dict[str, Any] = {"source_BS": tokens_BT} if settings.family == "encoder_decoder" else {}
    with (
        torch.autograd.graph.saved_tensors_hooks(note, lambda tensor: tensor),
        torch.autocast("cpu", torch.bfloat16, enabled=precision == "bf16"),
    ):
        network(tokens_BT, seeds_B=torch.arange(rows), **source)
    return sum(tensor.untyped_storage().nbytes() for place, tensor in kept.items() if place not in weights)


@pytest.mark.parametrize("precision", ["fp32", "bf16"])
@pytest.mark.parametrize("name", NETWORKS)
def test_the_count_is_what_a_real_pass_keeps_of_each_further_sequence(name: str, precision: str) -> None:
    settings = NETWORKS[name]
    real = (held(settings, 6, 40, precision) - held(settings, 2, 40, precision)) / 4
    # An LSTM's kernel rounds its workspace up, more so for few tokens.
    assert kept_bytes(settings, 40, precision) == pytest.approx(real, rel=0.06 if name == "lstm" else 0.02)


def test_longer_than_the_positions_counts_as_several_chunks() -> None:
    assert kept_bytes(PLAIN, 96, "fp32") == 2 * kept_bytes(PLAIN, 48, "fp32")
    short = LSTMSettings(backbone="lstm", layers=1, width=16, hidden=24, max_positions=32)
    assert kept_bytes(short, 64, "fp32") == 2 * kept_bytes(short, 32, "fp32")


def test_the_micro_batch_fills_its_share_of_memory_and_no_more(monkeypatch: pytest.MonkeyPatch) -> None:
    each = kept_bytes(PLAIN, 40, "fp32")
    memory = type("Memory", (), {"total": round(7.5 * each / SHARE_OF_MEMORY)})
    monkeypatch.setattr("psutil.virtual_memory", lambda: memory)
    place = Place(HardwareConfig(accelerator="cpu"), "fp32")
    assert place.micro_batch(PLAIN, 40, 100) == 7
    assert place.micro_batch(PLAIN, 40, 5) == 5
    assert place.micro_batch(PLAIN, 4000, 5) == 1
