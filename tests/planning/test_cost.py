"""Promise: the operations that a plan counts are those that torch counts while the real code runs."""

from pathlib import Path
from typing import Any

import pytest
import torch
from torch.nn.attention import SDPBackend, sdpa_kernel
from torch.utils.flop_counter import FlopCounterMode

from pipeline.classifier.network import classifier_network
from pipeline.config.classifier import ClassifierConfig
from pipeline.config.language_model import PretrainConfig
from pipeline.language_model.flops import Flops, language_model_flops
from pipeline.language_model.task import task_of
from pipeline.models.build import build
from pipeline.models.settings import TransformerSettings
from pipeline.objectives import cross_entropy
from pipeline.planning.cost import partial_flops, update_cost
from pipeline.training.groups import parameter_groups
from pipeline.training.optimiser import orthogonalise

B, T, V = 8, 64, 400
WIDE = {"output_transform": True, "embedding_width": 16}
CASES: dict[str, tuple[str, dict[str, Any]]] = {
    "causal": ("causal", {}),
    "gated, shared heads": ("causal", {"qk_norm": True, "activation": "swiglu", "kv_heads": 1}),
    "untied": ("causal", {"tied": False}),
    "masked": ("masked", {"family": "encoder"}),
    "masked, one block": ("masked", {"family": "encoder", "share_layers": True, **WIDE}),
    "hybrid": ("hybrid", {}),
    "prefix": ("prefix", {}),
    "spans": ("spans", {"family": "encoder_decoder"}),
    "replaced tokens": ("replaced_tokens", {"family": "encoder", **WIDE}),
}


class Untracked:
    """Stands in for the counter's tracker of modules, which stumbles over networks without gradients."""

    parents = frozenset({"Global"})

    def __enter__(self) -> None: ...

    def __exit__(self, *error: object) -> None: ...


def counted(run: Any) -> float:
    """Operations of a call, attention through plain matrix products (a fused backward pass computes scores again)."""
    counter = FlopCounterMode(display=False)
    counter.mod_tracker = Untracked()  # type: ignore[assignment]
    with sdpa_kernel(SDPBackend.MATH), counter:
        run()
    return float(counter.get_total_flops())


@pytest.mark.parametrize("name", CASES)
def test_a_step_of_every_objective_costs_what_torch_counts(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    # Torch does not count products that are added in place.
    monkeypatch.setattr(cross_entropy, "_add_product", lambda total, left, right: total.add_(left @ right))
    objective, changed = CASES[name]
    settings = TransformerSettings(layers=2, width=32, heads=2, feedforward=64, max_positions=T, **changed)
    config = PretrainConfig(start="scratch", objective=objective, length=T, batch_tokens=B * T)  # type: ignore[arg-type]
    task = task_of(build(settings, V, seed=1), config, Path(), None)
    windows = torch.randint(106, V, (B, T + 1), generator=torch.Generator().manual_seed(1))
    # With these seeds hybrid masks half of the rows, as it does on average.
    real = counted(lambda: task.losses.loss_sum(windows, torch.arange(B)).backward()) / (B * T)
    planned = language_model_flops(task.trainee, config)
    assert planned.both == pytest.approx(real, rel=0.01)
    assert planned.backward == pytest.approx(2 * planned.forward, rel=0.1)


CLASSIFIER = ClassifierConfig(chunk_tokens=32, max_tokens=64, head_width=8)


@pytest.mark.parametrize("trains", [None, ("head",), ("block 2", "head"), ("block 1",), ("embeddings",)])
def test_a_phase_that_trains_some_layers_costs_what_torch_counts(trains: tuple[str, ...] | None) -> None:
    settings = TransformerSettings(layers=2, width=32, heads=2, feedforward=64, max_positions=32)
    network = classifier_network(build(settings, V, seed=1), CLASSIFIER, classes=3)
    for name, parameters in network.layer_groups():
        for parameter in parameters:
            parameter.requires_grad_(trains is None or name in trains)
    tokens, lengths = torch.full((4, 32), 200), torch.full((4,), 32)
    real = counted(lambda: network(tokens, lengths, seeds_B=torch.arange(4)).sum().backward()) / (4 * 32)
    assert partial_flops(network, 32, trains).both == pytest.approx(real, rel=0.03)


def test_half_of_the_gradients_are_half_of_the_backward_pass() -> None:
    settings = TransformerSettings(layers=2, width=32, heads=2, feedforward=64, max_positions=32)
    network = classifier_network(build(settings, V, seed=1), CLASSIFIER, classes=3)
    whole, half = partial_flops(network, 32, None), partial_flops(network, 32, None, gradient_share=0.5)
    assert half == Flops(whole.forward, whole.backward / 2)


def test_an_update_costs_muons_products_and_keeps_its_moments() -> None:
    settings = TransformerSettings(layers=1, width=32, heads=2, feedforward=64, max_positions=32, bias=False)
    network = build(settings, V, seed=1)
    matrices = network.hidden_matrices()
    config = PretrainConfig(start="scratch", optimizer="muon")
    update = update_cost(parameter_groups(network.layer_groups(), matrices, config))
    real = sum(counted(lambda weight=weight: orthogonalise(weight.detach()[None])) for weight in matrices)
    assert update.flops == pytest.approx(real)
    assert update.orthogonalised == sum(weight.numel() for weight in matrices)
    assert update.parameters == sum(parameter.numel() for parameter in network.parameters())
    assert update.state == 2 * update.parameters - update.orthogonalised
