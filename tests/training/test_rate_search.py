"""The learning rate that a search suggests, on curves whose answer is known."""

import math

import numpy as np
import pytest

from pipeline.config.training import TrainingConfig
from pipeline.training.curve import Row
from pipeline.training.rate_search import HIGHEST, LOWEST, STEPS, Diverged, climbing, smoothed, suggested

RATES = [LOWEST * (HIGHEST / LOWEST) ** (step / (STEPS - 1)) for step in range(STEPS)]


def curve_with_fall_at(centre: float) -> list[float]:
    """A loss that falls from 5 to 3 around a rate and explodes ten times above it."""
    explosion = [math.exp(min(20, rate / (10 * centre)) ** 2 / 40) - 1 for rate in RATES]
    return [3 + 2 / (1 + (rate / centre) ** 2) + more for rate, more in zip(RATES, explosion, strict=True)]


@pytest.mark.parametrize("centre", [1e-4, 1e-3, 1e-2])
def test_the_suggestion_is_where_the_loss_falls_fastest(centre: float) -> None:
    found = suggested(RATES, curve_with_fall_at(centre))
    # Smoothing looks back over some ten steps, a factor of four in the rate.
    assert found is not None
    assert centre / 2 < found < 8 * centre


def test_noise_moves_the_suggestion_little() -> None:
    noise = np.random.Generator(np.random.PCG64(1)).normal(0, 0.1, STEPS)
    found = suggested(RATES, (np.array(curve_with_fall_at(1e-3)) + noise).tolist())
    assert found is not None
    assert 2e-4 < found < 2e-2


@pytest.mark.parametrize("losses", [np.linspace(3, 4, STEPS), np.full(STEPS, 3.0), np.array([3.0, 2.0, 1.0])])
def test_a_loss_that_never_falls_gets_no_suggestion(losses: np.ndarray) -> None:
    assert suggested(RATES[: len(losses)], losses.tolist()) is None


def test_the_mean_has_no_pull_towards_zero() -> None:
    assert np.allclose(smoothed([2.0] * 5), 2.0)


def test_the_rate_climbs_by_equal_factors_and_stops_where_the_loss_explodes() -> None:
    curve: list[Row] = []
    rate, config = climbing(curve), TrainingConfig(learning_rate=0.002)
    taken = [rate(config, step, STEPS) * config.learning_rate for step in range(STEPS)]
    assert taken == pytest.approx(RATES)
    curve += [{"train_loss": 2.0}] * 10
    rate(config, 10, STEPS)
    curve += [{"train_loss": 100.0}] * 2
    with pytest.raises(Diverged):
        rate(config, 12, STEPS)
