"""What holds for every objective, whatever it asks."""

from typing import Any

import pytest
import torch

from pipeline.config.suitable import OBJECTIVE_NAMES, reading, unsuitable
from pipeline.models.settings import LSTMSettings, TransformerSettings
from pipeline.objectives.cross_entropy import IGNORED
from pipeline.objectives.example import Objective
from pipeline.objectives.registry import OBJECTIVES, objective
from tests.objectives.rows import VOCABULARY, by_row, seeds, windows

ROWS, LENGTH = 24, 40
BEGINS_V = torch.arange(VOCABULARY) % 2 == 0
CHOICES: list[tuple[str, dict[str, Any]]] = [*((name, {}) for name in OBJECTIVES), ("masked", {"begins_V": BEGINS_V})]


@pytest.fixture(params=CHOICES, ids=[name + "+" * len(options) for name, options in CHOICES])
def chosen(request) -> Objective:
    name, options = request.param
    return objective(name, vocabulary=VOCABULARY, **options)


def test_a_row_is_made_into_the_same_whatever_batch_it_is_in(chosen) -> None:
    windows_BT1, seeds_B = windows(ROWS, LENGTH), seeds(ROWS)
    whole = by_row(chosen.examples(windows_BT1, seeds_B), torch.arange(ROWS))
    assert sorted(whole) == list(range(ROWS))
    shuffled = torch.randperm(ROWS, generator=torch.Generator().manual_seed(1))
    for rows_B in [*shuffled.split(7), shuffled[:1]]:
        part = by_row(chosen.examples(windows_BT1[rows_B], seeds_B[rows_B]), rows_B)
        assert part == {row: whole[row] for row in rows_B.tolist()}


def test_targets_say_what_the_examples_ask(chosen) -> None:
    """In all rows on average; exactly where the number does not depend on chance."""
    rows = 2000
    asked = [
        (example.targets_BT != IGNORED).sum() * example.weight
        for example in chosen.examples(windows(rows, 12), seeds(rows))
    ]
    assert float(sum(asked)) / rows == pytest.approx(chosen.targets(12), rel=0.04)


def test_windows_and_the_global_random_state_stay_as_they_were(chosen) -> None:
    windows_BT1 = windows(ROWS, LENGTH)
    state = torch.get_rng_state()
    chosen.examples(windows_BT1, seeds(ROWS))
    chosen.measured(windows_BT1, seeds(ROWS))
    assert torch.equal(windows_BT1, windows(ROWS, LENGTH))
    assert torch.equal(torch.get_rng_state(), state)


def test_options_reach_the_objective_they_concern() -> None:
    def targets(name: str, **options: Any) -> float:
        return objective(name, vocabulary=VOCABULARY, **options).targets(100)

    assert targets("masked", mask_rate=0.3) == 30
    assert targets("spans", mask_rate=0.3, span_length=5.0) == 30 + 6 + 1
    (example,) = objective("hybrid", vocabulary=VOCABULARY, masked_share=1.0, mask_rate=0.3).examples(
        windows(2, 100), seeds(2)
    )
    assert example.weight == pytest.approx(100 / 30)


def test_every_name_that_a_config_may_have_is_here() -> None:
    assert {*OBJECTIVES, "replaced_tokens"} == {*OBJECTIVE_NAMES}


@pytest.mark.parametrize(
    ("settings", "suits"),
    [
        ({"family": "decoder"}, ["causal", "hybrid", "prefix"]),
        ({"family": "decoder", "attention": "linear"}, ["causal", "hybrid"]),
        ({"family": "decoder", "attention": "performer"}, ["causal", "hybrid"]),
        ({"family": "decoder", "attention": "fast_weight"}, ["causal"]),
        ({"family": "decoder", "positions": "t5"}, ["causal"]),
        ({"family": "encoder", "positions": "t5"}, ["hybrid", "masked", "replaced_tokens"]),
        ({"family": "encoder"}, ["hybrid", "masked", "replaced_tokens"]),
        ({"family": "encoder_decoder"}, ["spans"]),
    ],
    ids=str,
)
def test_each_network_is_offered_what_it_can_learn_and_told_why_not_the_rest(settings, suits) -> None:
    model = TransformerSettings(layers=2, width=32, heads=2, feedforward=64, max_positions=64, **settings)
    reasons = {name: unsuitable(name, reading(model)) for name in OBJECTIVE_NAMES}
    assert sorted(name for name, reason in reasons.items() if reason is None) == suits
    assert all(reason and not reason.endswith(".") for name, reason in reasons.items() if name not in suits)


def test_an_lstm_is_causal_alone() -> None:
    assert [name for name in OBJECTIVE_NAMES if unsuitable(name, reading(LSTMSettings("lstm"))) is None] == ["causal"]
