"""Promise: each schedule follows its published formula, and no step is trained at rate 0 by accident."""

import itertools
import math

import pytest

from pipeline.config.training import TrainingConfig
from pipeline.training.schedules import rate

NAMES = ("slanted_triangular", "linear", "cosine", "one_cycle", "constant", "wsd")


def config(schedule: str, **values: float) -> TrainingConfig:
    return TrainingConfig(learning_rate=1.0, schedule=schedule, **values)


@pytest.mark.parametrize("schedule", NAMES)
@pytest.mark.parametrize("steps", [1, 2, 7, 100, 1000])
@pytest.mark.parametrize("warmup", [0.0, 0.1, 0.5])
def test_every_factor_is_above_zero_and_at_most_one(schedule: str, steps: int, warmup: float) -> None:
    factors = [rate(config(schedule, warmup=warmup), step, steps) for step in range(steps)]
    assert all(0 < factor <= 1 + 1e-12 for factor in factors)


def test_slanted_triangular_is_equation_3_of_howard_and_ruder() -> None:
    steps, cut_frac, ratio = 1000, 0.1, 32
    cut = math.floor(steps * cut_frac)
    for t in range(steps):
        p = t / cut if t < cut else 1 - (t - cut) / (cut * (1 / cut_frac - 1))
        expected = (1 + p * (ratio - 1)) / ratio
        assert rate(config("slanted_triangular"), t, steps) == pytest.approx(expected, abs=1e-12)


def test_slanted_triangular_peaks_at_the_cut_and_starts_at_peak_over_ratio() -> None:
    factors = [rate(config("slanted_triangular"), t, 200) for t in range(200)]
    assert factors.index(max(factors)) == 20
    assert factors[0] == pytest.approx(1 / 32)


def test_cosine_is_half_way_down_in_the_middle_of_its_fall() -> None:
    assert rate(config("cosine", warmup=0.0), 50, 100) == pytest.approx(0.5)


def test_linear_falls_evenly_after_the_warm_up() -> None:
    factors = [rate(config("linear", warmup=0.2), t, 100) for t in range(20, 100)]
    falls = [a - b for a, b in itertools.pairwise(factors)]
    assert max(falls) - min(falls) < 1e-12


def test_warm_up_stable_decay_has_a_plateau_and_ends_near_zero() -> None:
    factors = [rate(config("wsd", warmup=0.1, decay=0.4), t, 100) for t in range(100)]
    assert all(factor == 1 for factor in factors[10:60])
    assert factors[-1] == pytest.approx(1 / 40)


def test_one_cycle_climbs_from_a_25th() -> None:
    assert rate(config("one_cycle", warmup=0.25), 0, 100) == pytest.approx(1 / 25)
    assert rate(config("one_cycle", warmup=0.25), 25, 100) == pytest.approx(1.0)
