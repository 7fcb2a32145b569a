"""Which token comes next: the most probable one, or one drawn from a distribution that was sharpened and cut."""

import math
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from pipeline.batches.seeds import sequence_seeds


@dataclass(frozen=True)
class Sampling:
    """How tokens are drawn. The noise of each is a function of `seed`, its sample's number and its place alone."""

    # Scores are divided by it: below 1 probable tokens become more so; 0 takes the most probable one (greedy).
    temperature: float = 1.0
    # Draw from the k most probable tokens alone (Fan et al. 2018, section 5.4); None from all.
    top_k: int | None = None
    # And of these from the fewest whose probabilities add up to this (nucleus sampling, Holtzman et al. 2020).
    top_p: float = 1.0
    seed: int = 1

    def __post_init__(self) -> None:
        if not (0 <= self.temperature < math.inf):
            raise ValueError(f"temperature {self.temperature} must be a finite number, 0 or more")
        if self.top_k is not None and self.top_k < 1:
            raise ValueError(f"top_k {self.top_k} must be at least 1")
        if not 0 < self.top_p <= 1:
            raise ValueError(f"top_p {self.top_p} must be above 0 and at most 1")

    def choose(self, log_p_BV: Tensor, samples_B: Tensor, position: int) -> Tensor:
        """The next token of each row, (B) int64.

        Args:
            log_p_BV: log-probabilities up to a constant, float64.
            samples_B: number of each row's sample, whatever row it now stands in.
            position: how many tokens of the samples came before.
        """
        if self.temperature == 0:
            return log_p_BV.argmax(dim=1)
        cumulative_BV = self.distribution(log_p_BV).cumsum(dim=1)
        threshold_B1 = _uniform(self.seed, position, samples_B)[:, None] * cumulative_BV[:, -1:]
        return torch.searchsorted(cumulative_BV, threshold_B1, right=True)[:, 0]

    def distribution(self, log_p_BV: Tensor) -> Tensor:
        """The probabilities (B, V) that tokens are drawn with, at a temperature above 0."""
        # The greatest score becomes 0 first, so that no temperature is too low to divide by.
        log_p_BV = (log_p_BV - log_p_BV.amax(dim=1, keepdim=True)) / self.temperature
        sorted_BV, order_BV = log_p_BV.softmax(dim=1).sort(dim=1, descending=True, stable=True)
        if self.top_k is not None:
            sorted_BV[:, self.top_k :] = 0
        sorted_BV /= sorted_BV.sum(dim=1, keepdim=True)
        more_probable_BV = sorted_BV.cumsum(dim=1) - sorted_BV
        sorted_BV[more_probable_BV >= self.top_p] = 0
        sorted_BV /= sorted_BV.sum(dim=1, keepdim=True)
        return torch.zeros_like(sorted_BV).scatter(1, order_BV, sorted_BV)


GREEDY = Sampling(temperature=0)


def _uniform(seed: int, position: int, samples_B: Tensor) -> Tensor:
    """Numbers above 0 and below 1, float64 (B)."""
    bits_B = sequence_seeds(seed, position, samples_B.numpy()) >> 11  # 52 of 63
    return torch.from_numpy((bits_B.astype(np.float64) + 0.5) / 2.0**52)
