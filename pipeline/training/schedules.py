"""Learning-rate schedules as functions of (step, steps): a factor on the peak rate, nothing to carry or to resume."""

import math

from pipeline.config.training import TrainingConfig


def rate(config: TrainingConfig, step: int, steps: int) -> float:
    """Factor on the peak learning rate for step `step` (from 0) of `steps`.

    The rate of the first step is above 0, so that no step is wasted.
    """
    return _SCHEDULES[config.schedule](config, step, steps)


def _slanted_triangular(config: TrainingConfig, step: int, steps: int) -> float:
    """Howard & Ruder 2018, equation 3: a short climb, a long fall, never below peak / ratio."""
    cut = max(1, math.floor(steps * config.warmup))
    fall = cut * (1 / config.warmup - 1) if config.warmup else steps - cut
    # The paper counts t from 0 and starts at peak / ratio.
    p = step / cut if step < cut else 1 - (step - cut) / max(1, fall)
    return (1 + max(0.0, p) * (config.ratio - 1)) / config.ratio


def _climb(config: TrainingConfig, step: int, steps: int) -> float:
    warm = config.warmup * steps
    return min(1.0, (step + 1) / warm) if warm >= 1 else 1.0


def _progress(config: TrainingConfig, step: int, steps: int) -> float:
    """Share of the way from the end of the warm-up to the end of the run, 0 to below 1."""
    warm = config.warmup * steps
    return max(0.0, (step - warm) / max(1.0, steps - warm))


def _linear(config: TrainingConfig, step: int, steps: int) -> float:
    return _climb(config, step, steps) * (1 - _progress(config, step, steps))


def _cosine(config: TrainingConfig, step: int, steps: int) -> float:
    return _climb(config, step, steps) * 0.5 * (1 + math.cos(math.pi * _progress(config, step, steps)))


def _one_cycle(config: TrainingConfig, step: int, steps: int) -> float:
    """Smith & Topin 2018 as fastai runs it: cosine from peak / 25 to the peak, cosine down to peak / 100,000."""
    warm = max(1.0, config.warmup * steps)
    if step < warm:
        return 1 / 25 + (1 - 1 / 25) * 0.5 * (1 - math.cos(math.pi * step / warm))
    return 1e-5 + (1 - 1e-5) * 0.5 * (1 + math.cos(math.pi * _progress(config, step, steps)))


def _constant(config: TrainingConfig, step: int, steps: int) -> float:
    return _climb(config, step, steps)


def _warm_up_stable_decay(config: TrainingConfig, step: int, steps: int) -> float:
    """Hu et al. 2024 (MiniCPM): climb, stay, fall linearly over the last `decay` share."""
    left = (steps - step) / max(1.0, config.decay * steps)
    return _climb(config, step, steps) * min(1.0, left)


_SCHEDULES = {
    "slanted_triangular": _slanted_triangular,
    "linear": _linear,
    "cosine": _cosine,
    "one_cycle": _one_cycle,
    "constant": _constant,
    "wsd": _warm_up_stable_decay,
}
