"""Promise: every switch of ULMFiT's second stage does what its name says, on a Transformer and on an AWD-LSTM."""

import csv
from collections.abc import Callable
from contextlib import chdir
from pathlib import Path

import pytest
import torch

from pipeline.base.errors import UserError
from pipeline.base.files import read_json, write_json
from pipeline.config.read import parse
from pipeline.config.training import TrainingConfig
from pipeline.interop.folders import load_language_model, save_language_model
from pipeline.models.build import Network, build
from pipeline.models.settings import settings_schema
from pipeline.shards.read import TokenCorpus
from pipeline.text import tokenizer as bpe
from pipeline.training.schedules import rate
from stages import finetune_lm
from tests.workspace import CONFIGS, make

RATE = 0.01
PLAIN = {
    "tokens": 256, "batch_tokens": 256, "length": 32, "learning_rate": RATE, "weight_decay": 0.0,
    "schedule": "constant", "warmup": 0.0, "precision": "fp32",
}  # fmt: skip
RATES = ("embedding_dropout", "input_dropout", "hidden_dropout", "output_dropout", "weight_dropout")
LSTM = {"backbone": "lstm", "layers": 2, "width": 32, "hidden": 40, "max_positions": 64}
BACKBONES = {"transformer": CONFIGS["model"], "lstm": LSTM}
STILL = {"transformer": {"dropout": 0.0, "embedding_dropout": 0.0}, "lstm": dict.fromkeys(RATES, 0.0)}
Tune = Callable[..., tuple[Network, Network]]


@pytest.fixture(scope="module")
def workspace(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make(tmp_path_factory.mktemp("workspace"))


@pytest.fixture(params=BACKBONES)
def backbone(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture
def tune(workspace: Path, backbone: str) -> Tune:
    """A fresh network and what the stage makes of it; `still`: a network without dropout."""

    def tuned(*, still: bool = False, **changed: object) -> tuple[Network, Network]:
        values = BACKBONES[backbone] | (STILL[backbone] if still else {})
        tokenizer = workspace / "models/tokenizer/tokenizer.json"
        start = build(parse(settings_schema, values, "model"), bpe.load(tokenizer).get_vocab_size(), seed=5)
        save_language_model(workspace / "models/pretrained/forward", start, direction="forward", tokenizer=tokenizer)
        write_json(workspace / "configs/finetune_lm/tiny.yaml", PLAIN | changed)
        with chdir(workspace):
            finetune_lm.main("forward")
        return start, load_language_model(workspace / "models/domain/forward").model

    return tuned


def moved(start: Network, tuned: Network) -> list[float]:
    """How far the weights of each layer group have moved at most, from input to output."""
    pairs = zip(start.layer_groups(), tuned.layer_groups(), strict=True)
    return [
        max(float((new - old).detach().abs().max()) for old, new in zip(before, after, strict=True))
        for (_, before), (_, after) in pairs
    ]


def test_all_layers_train_at_one_rate_or_each_slower_than_the_one_above(tune: Tune) -> None:
    """Section 3.2; Adam's first step is as long as the rate, so how far weights move tells the rate they train at."""
    plain = moved(*tune())
    assert plain == pytest.approx([RATE] * len(plain), rel=0.01)
    discriminative = moved(*tune(discriminative=2.6))
    expected = [RATE / 2.6**depth for depth in range(len(plain))]
    assert list(reversed(discriminative)) == pytest.approx(expected, rel=0.01)


@pytest.mark.parametrize("schedule", ["slanted_triangular", "cosine"])
def test_rates_follow_the_schedule(tune: Tune, schedule: str, workspace: Path) -> None:
    changed = {"tokens": 256 * 12, "schedule": schedule, "warmup": 0.25, "ratio": 32}
    tune(**changed)
    lines = (workspace / "results/finetune_lm/forward/curve.csv").read_text(encoding="utf-8").splitlines()
    rates = [float(row["learning_rate"]) for row in csv.DictReader(lines) if row["train_loss"]]
    config = TrainingConfig(schedule=schedule, warmup=0.25, ratio=32, learning_rate=RATE)
    assert rates == pytest.approx([RATE * rate(config, step, 12) for step in range(12)], rel=1e-4)
    assert max(rates) > 3 * min(rates)


def test_drop_mult_scales_the_dropout_of_training(tune: Tune) -> None:
    runs = [tune(still=True), tune(drop_mult=0.0), tune(drop_mult=1.0)]
    without, scaled, dropping = (torch.cat([one.detach().flatten() for one in made.parameters()]) for _, made in runs)
    assert torch.equal(without, scaled)
    assert not torch.equal(without, dropping)


def test_drop_mult_auto_drops_out_nothing_until_the_corpus_is_read_again(tune: Tune, workspace: Path) -> None:
    size = TokenCorpus(workspace / "data/tokens/domain/train").tokens
    assert size > 256
    again = 256 * (size // 256 + 1)
    for tokens, factor in ((256, 0.0), (again, 1.0)):
        auto, plain = (
            torch.cat([one.detach().flatten() for one in tune(tokens=tokens, drop_mult=mult)[1].parameters()])
            for mult in ("auto", factor)
        )
        assert torch.equal(auto, plain)


def test_bag_of_words_trains_on_more_than_the_next_token_and_reports_that(
    tune: Tune, backbone: str, workspace: Path
) -> None:
    if backbone == "lstm":
        with pytest.raises(UserError, match="`bag_of_words` does not fit this language model"):
            tune(bag_of_words=1.0)
        return
    weights, losses = [], []
    for weight in (0.0, 1.0):
        tuned = tune(bag_of_words=weight)[1]
        weights.append(torch.cat([one.detach().flatten() for one in tuned.parameters()]))
        losses.append(read_json(workspace / "results/finetune_lm/forward/metrics.json")["train_loss"])
    assert not torch.equal(*weights)
    assert losses[0] == losses[1]  # of the one step taken, from the same weights
