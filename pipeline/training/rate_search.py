"""Which learning rate to take: a short run whose rate climbs from far too low to far too high.

Smith 2017, "Cyclical Learning Rates for Training Neural Networks", arXiv 1506.01186, section 3.3. Smoothing the losses
and stopping where they have grown to four times the best are fastai's additions.
"""

from collections.abc import Callable, Sequence

import numpy as np

from pipeline.config.training import TrainingConfig
from pipeline.training.curve import Row

STEPS = 100
LOWEST, HIGHEST = 1e-6, 1.0
DIVERGED = 4.0  # times the best smoothed loss
SMOOTHING = 0.9  # share of the old mean in the new one
WINDOW = 9  # steps over which a slope is taken
LEAST_FALL = 0.01  # of the loss: what falls by less is called flat
NOISY = 5  # first steps, whose mean is of a few batches only


class Diverged(Exception):
    """The rate has climbed so far that the loss grows: there is nothing more to see."""


def climbing(curve: list[Row]) -> Callable[[TrainingConfig, int, int], float]:
    """A schedule from `LOWEST` to `HIGHEST`, each step's rate the same factor above the last one's.

    It reads the run's `curve` as it grows, and raises `Diverged` when the losses say so.
    """

    def rate(config: TrainingConfig, step: int, steps: int) -> float:
        losses = [float(row["train_loss"]) for row in curve if "train_loss" in row]
        if len(losses) > NOISY and (mean := smoothed(losses))[-1] > DIVERGED * mean[NOISY - 1 :].min():
            raise Diverged
        return LOWEST * (HIGHEST / LOWEST) ** (step / max(1, steps - 1)) / config.learning_rate

    return rate


def smoothed(losses: Sequence[float]) -> np.ndarray:
    """Exponential mean, without the pull of its start towards zero."""
    mean, means = 0.0, []
    for number, loss in enumerate(losses, 1):
        mean = SMOOTHING * mean + (1 - SMOOTHING) * loss
        means.append(mean / (1 - SMOOTHING**number))
    return np.array(means)


def suggested(rates: Sequence[float], losses: Sequence[float]) -> float | None:
    """The rate at which the smoothed loss falls fastest in the logarithm of the rate, before its lowest point.

    None if it never falls.
    """
    means, logs = smoothed(losses), np.log(rates)
    lowest = int(means[NOISY:].argmin()) + NOISY if len(means) > NOISY + WINDOW else 0
    if means[lowest] > (1 - LEAST_FALL) * means[min(NOISY, lowest)]:
        return None
    middles = range(NOISY + WINDOW // 2, lowest - WINDOW // 2 + 1)
    slopes = {
        middle: float(np.polyfit(logs[part], means[part], 1)[0])
        for middle in middles
        for part in [slice(middle - WINDOW // 2, middle + WINDOW // 2 + 1)]
    }
    return float(rates[min(slopes, key=slopes.__getitem__)]) if slopes else None
