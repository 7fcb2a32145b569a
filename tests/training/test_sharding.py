"""Promise: any network trains under FSDP as it does whole, and comes back whole.

One process here, so that every family is tried in seconds; tests/stages/test_processes.py has several.
"""

import os
from collections.abc import Callable, Iterator

import pytest
import torch
import torch.distributed as dist

from pipeline.config.hardware import HardwareConfig
from pipeline.config.language_model import PretrainConfig
from pipeline.language_model.carry import CarriedLosses
from pipeline.language_model.losses import Losses, PredictionLosses
from pipeline.language_model.module import LanguageModelModule
from pipeline.models.awd_lstm import AWDLSTM
from pipeline.models.build import build
from pipeline.models.settings import LSTMSettings, TransformerSettings
from pipeline.models.transformer import Transformer
from pipeline.objectives.bag_of_words import BagOfWords
from pipeline.objectives.masked import Masking
from pipeline.objectives.registry import objective
from pipeline.objectives.replaced_tokens import ReplacedTokenDetection
from pipeline.training.module import Phase
from pipeline.training.place import Place
from pipeline.training.run import run_phases

BATCH, LENGTH, VOCABULARY = 6, 16, 300
BLOCKS = {"layers": 2, "width": 32, "heads": 2, "feedforward": 64, "max_positions": 16, "dropout": 0.1}
Trained = tuple[torch.nn.Module, Losses]


def by_objective(family: str, share_layers: bool = False) -> Callable[[str], Trained]:
    def make(name: str) -> Trained:
        settings = TransformerSettings(**BLOCKS, family=family, share_layers=share_layers)
        network = build(settings, VOCABULARY, seed=1)
        made = objective(name, vocabulary=VOCABULARY, mask_rate=0.3, begins_V=None, masked_share=0.5, span_length=3.0)
        return network, PredictionLosses(network, made)

    return make


def and_words(name: str) -> Trained:
    network, losses = by_objective("decoder")(name)
    assert isinstance(losses, PredictionLosses)
    return network, PredictionLosses(losses.network, losses.objective, BagOfWords(torch.ones(VOCABULARY)), 1.0)


def replaced_tokens(name: str) -> Trained:
    network = build(TransformerSettings(**BLOCKS, family="encoder"), VOCABULARY, seed=1)
    assert isinstance(network, Transformer)
    detection = ReplacedTokenDetection(network, Masking(VOCABULARY, 0.3, None), seed=1)
    return detection, detection


def lstm(name: str) -> Trained:
    network = build(LSTMSettings(backbone="lstm", layers=2, width=16, hidden=24, max_positions=16), VOCABULARY, seed=1)
    assert isinstance(network, AWDLSTM)
    return network, CarriedLosses(network)


@pytest.fixture
def _process_group() -> Iterator[None]:
    before = dict(os.environ)
    yield
    if dist.is_initialized():
        dist.destroy_process_group()
    os.environ.clear()
    os.environ.update(before)


def train(make: Callable[[str], Trained], name: str, strategy: str) -> LanguageModelModule:
    network, losses = make(name)
    config = PretrainConfig(
        start="scratch", objective=name, tokens=1, batch_tokens=BATCH * LENGTH, length=LENGTH, optimizer="muon"
    )
    draw = torch.Generator().manual_seed(0)
    windows_NT1 = torch.randint(10, VOCABULARY, (9, LENGTH + 1), generator=draw)
    module = LanguageModelModule(network, losses, config, 4, "pretrain", (windows_NT1, torch.arange(9)), 1.0)
    place = Place(HardwareConfig(accelerator="cpu", threads=1, strategy=strategy), "fp32")

    def share(_phase: int, step: int, rank: int, world: int) -> dict[str, object]:
        draw = torch.Generator().manual_seed(step)
        return {
            "windows_BT1": torch.randint(10, VOCABULARY, (BATCH, LENGTH + 1), generator=draw),
            "seeds_B": torch.arange(BATCH) + step * BATCH,
            "step_seed": step,
            "denominator": losses.targets(LENGTH) * BATCH,
            "tokens_in_step": BATCH * LENGTH,
            "most": BATCH,
        }

    groups = tuple(name for name, _ in network.layer_groups())
    run_phases(module, [Phase("top", 2, groups[-1:]), Phase("all", 3)], share, resume=None, place=place)
    assert module.network is network
    return module


@pytest.mark.usefixtures("_process_group")
@pytest.mark.parametrize(
    ("make", "name"),
    [
        (by_objective("encoder", share_layers=True), "masked"),
        (by_objective("decoder"), "hybrid"),
        (and_words, "causal"),
        (by_objective("encoder_decoder"), "spans"),
        (replaced_tokens, "replaced_tokens"),
        (lstm, "causal"),
    ],
    ids=["shared layers", "hybrid", "words", "encoder-decoder", "replaced tokens", "lstm"],
)
def test_a_sharded_network_trains_as_a_whole_one(make: Callable[[str], Trained], name: str) -> None:
    whole, sharded = (train(make, name, strategy) for strategy in ("auto", "fsdp"))
    for row, expected in zip(sharded.curve, whole.curve, strict=True):
        assert row == pytest.approx(expected, abs=1e-5)
    state = sharded.network.state_dict()
    for key, tensor in whole.network.state_dict().items():
        assert type(state[key]) is torch.Tensor
        assert torch.allclose(state[key], tensor, atol=2e-5), key
