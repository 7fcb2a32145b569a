"""Promise: every family of networks and every objective goes the whole road, and comes back from its files."""

import json
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file

from pipeline.base.files import write_json
from pipeline.inference.predictor import Predictor
from stages import finetune_classifier, finetune_lm, pretrain
from tests.workspace import CONFIGS, copies, make

pytestmark = [pytest.mark.slow, pytest.mark.timeout(300)]

LSTM = {"backbone": "lstm", "layers": 2, "width": 32, "hidden": 48}
ENCODER = {"family": "encoder", "output_transform": True, "output_bias": True}
# Changes of the model's config (or a whole one), the objective, and what else the objective takes.
ROADS: dict[str, tuple[dict[str, Any], dict[str, Any]]] = {
    "decoder, causal, post": ({"placement": "post"}, {"objective": "causal"}),
    "decoder, causal, ResiDual": ({"placement": "resi_dual"}, {"objective": "causal"}),
    "decoder, causal and words": ({}, {"objective": "causal", "bag_of_words": 1.0}),
    "decoder, causal, linear": ({"attention": "linear"}, {"objective": "causal"}),
    "decoder, causal, Performer": ({"attention": "performer", "features": 16}, {"objective": "causal"}),
    "decoder, causal, fast weights": ({"attention": "fast_weight"}, {"objective": "causal"}),
    "decoder, causal, Transformer-XL": ({"positions": "transformer_xl"}, {"objective": "causal"}),
    "decoder, hybrid": ({}, {"objective": "hybrid"}),
    "decoder, prefix": ({"positions": "alibi"}, {"objective": "prefix"}),
    "encoder, masked": (ENCODER, {"objective": "masked", "whole_words": True}),
    "encoder, replaced tokens": (ENCODER | {"embedding_width": 16}, {"objective": "replaced_tokens"}),
    "encoder, shared layers": (ENCODER | {"share_layers": True}, {"objective": "masked"}),
    "encoder-decoder, spans": ({"family": "encoder_decoder", "positions": "t5"}, {"objective": "spans"}),
    "AWD-LSTM": (LSTM, {"objective": "causal"}),
}


@pytest.fixture(scope="module")
def prepared(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make(tmp_path_factory.mktemp("workspace"))


@pytest.mark.parametrize("road", ROADS)
def test_from_text_to_predictions(road: str, prepared: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = copies(prepared, tmp_path / "workspace")
    model, objective = ROADS[road]
    write_json(folder / "configs/model/tiny.yaml", model if "backbone" in model else CONFIGS["model"] | model)
    for stage in ("pretrain", "finetune_lm"):
        short = {"tokens": 2560, "embeddings": "spectral", "learning_rate": 0.003}
        write_json(folder / f"configs/{stage}/tiny.yaml", CONFIGS[stage] | short | objective)
    monkeypatch.chdir(folder)
    for stage in (pretrain, finetune_lm, finetune_classifier):
        stage.main("forward")

    metrics = json.loads(Path("results/pretrain/forward/metrics.json").read_text(encoding="utf-8"))
    assert metrics["loss"] < metrics["loss_at_start"]
    assert ("bits_per_byte" in metrics) == (objective["objective"] in ("causal", "hybrid"))
    predictor = Predictor.load("models/classifier")
    together = predictor.predict_proba(["the ship near the quay", "flour and butter in the oven under the apron"])
    alone = predictor.predict_proba(["the ship near the quay"])
    assert together.sum(axis=1) == pytest.approx([1, 1])
    assert alone[0] == pytest.approx(together[0], abs=1e-5)


def test_a_generator_trained_beside_the_network_goes_on_in_the_domain(
    prepared: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = copies(prepared, tmp_path / "workspace")
    write_json(folder / "configs/model/tiny.yaml", CONFIGS["model"] | ENCODER)
    for stage, tokens in (("pretrain", 2560), ("finetune_lm", 1)):  # one step, at a rate that moves nothing
        changes = {"objective": "replaced_tokens", "tokens": tokens, "learning_rate": 1e-12, "weight_decay": 0.0}
        rates = {} if stage == "pretrain" else {"muon_learning_rate": 1e-12, "optimizer": "adamw"}
        write_json(folder / f"configs/{stage}/tiny.yaml", CONFIGS[stage] | changes | rates)
    monkeypatch.chdir(folder)
    pretrain.main("forward")
    finetune_lm.main("forward")
    first, second = (load_file(f"models/{stage}/forward/companion.safetensors") for stage in ("pretrained", "domain"))
    assert first.keys() == second.keys()
    for name, weight in first.items():
        torch.testing.assert_close(second[name], weight, atol=1e-9, rtol=1e-6)
