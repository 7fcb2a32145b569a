"""Promise: every parameter is counted once, in the part that it belongs to, for every shipped network."""

from pathlib import Path

import pytest
import torch

from docs.make_models import catalogue, settings_of, vocabularies
from pipeline.classifier.network import classifier_network
from pipeline.config.classifier import ClassifierConfig
from pipeline.config.language_model import PretrainConfig
from pipeline.config.suitable import OBJECTIVE_NAMES, reading, unsuitable
from pipeline.language_model.flops import language_model_flops
from pipeline.language_model.task import task_of
from pipeline.models.build import new_network
from pipeline.planning.parameters import by_part

VOCABULARIES = vocabularies(catalogue())


@pytest.mark.parametrize("name", VOCABULARIES)
def test_every_shipped_network_is_counted_without_its_weights(name: str) -> None:
    settings = settings_of(name)
    objective = next(one for one in OBJECTIVE_NAMES if unsuitable(one, reading(settings)) is None)
    config = PretrainConfig(start="scratch", objective=objective, length=128)  # type: ignore[arg-type]
    with torch.device("meta"):
        network = new_network(settings, VOCABULARIES[name])
        trainee = task_of(network, config, Path(), None).trainee
    assert language_model_flops(trainee, config).both > 0
    parts = by_part(network)
    assert sum(parts.values()) == sum(parameter.numel() for parameter in network.parameters())
    assert parts["embeddings"] >= network.input_embeddings().weight.numel()
    assert sum(parts.get(part, 0) for part in ("attention", "feed-forward", "recurrent")) >= sum(
        weight.numel() for weight in network.hidden_matrices()
    )


def test_the_parts_of_gpt2_are_those_of_its_paper() -> None:
    with torch.device("meta"):
        network = new_network(settings_of("gpt2_small"), 50_257)
    D = 768
    assert by_part(network) == {
        "embeddings": (50_257 + 1024) * D,
        "attention": 12 * (4 * D * D + 4 * D),
        "feed-forward": 12 * (8 * D * D + 5 * D),
        "norms": 25 * 2 * D,
    }


def test_heads_and_generators_are_parts_of_their_own() -> None:
    with torch.device("meta"):
        network = new_network(settings_of("electra_small"), 1000)
        config = PretrainConfig(start="scratch", objective="replaced_tokens")
        trainee = task_of(network, config, Path(), None).trainee
        reader = classifier_network(new_network(settings_of("bert_base"), 1000), ClassifierConfig(), classes=5)
    parts = by_part(trainee)
    assert (
        parts["generator"] == sum(p.numel() for p in trainee.generator.parameters()) - network.embeddings.weight.numel()
    )
    assert sum(parts.values()) == sum(parameter.numel() for parameter in trainee.parameters())
    # Two linear layers with a norm between them.
    assert by_part(reader)["head"] == 3 * 768 * 50 + 50 + 100 + 50 * 5 + 5
