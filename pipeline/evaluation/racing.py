"""Which of several recipes labels unseen documents best, and which need not be tried any further.

All recipes are judged by the same documents, part after part, so what counts is the difference of two on each document
("blocking" in Moore & Lee 1994, "Efficient Algorithms for Minimizing Cross Validation Error"): a hard document is hard
for all of them.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from scipy.special import log_expit, log_softmax, ndtr, ndtri

from pipeline.evaluation.decisions import decided
from pipeline.linear.blend import log_odds
from pipeline.linear.selection import best_temperature

# Standard errors behind the leader: not tried on the parts that are left ...
DROPPED = 2.0
# ... but not after fewer parts than this: one training alone may have been unlucky.
PARTS_BEFORE_DROPPING = 2
# Standard errors ahead: called better, of two (the one-standard-error rule, Breiman et al. 1984, section 3.4.3).
AHEAD = 1.0

# Of each part so far, the probabilities (M, C) that a recipe gave to its documents.
Found = Sequence[np.ndarray]


class Estimate(NamedTuple):
    """A mean over documents."""

    mean: float
    # Its standard error.
    error: float


class Entry(NamedTuple):
    """A recipe that was tried on all parts."""

    found: Found
    # What decides between equals, the smallest first.
    cost: tuple[int, ...]


@dataclass(frozen=True)
class Judge:
    """Knows the truth about the documents of all parts."""

    # Of each part: (M,) class indices, or (M, C) booleans where a document may carry several labels.
    labels: Sequence[np.ndarray]
    # Recipes that are tried in place of the present one.
    tried: int = 1

    @property
    def margin(self) -> float:
        """Standard errors by which one of several recipes has to be ahead of the present one to be called better.

        One for one recipe. The best of many is ahead by more than that by luck alone, so the margin grows with their
        number until luck has no more chances than with one: ndtri(ndtr(1)^(1/n)) (Šidák 1967).
        """
        return float(ndtri(ndtr(AHEAD) ** (1 / self.tried)))

    def loss(self, found: Found) -> Estimate:
        """Log loss of a recipe in nats, at its own best temperature (Guo et al. 2017).

        What weighs or calibrates the classifier later sets its confidence anew; a recipe is judged by what it knows.
        """
        return estimate(self._losses(found), _sizes(found))

    def accuracy(self, found: Found) -> float:
        """Share of the documents whose label, or whose every label, is right."""
        labels, probabilities_NC = np.concatenate(self.labels[: len(found)]), np.concatenate(found)
        several = labels.ndim == 2
        carried_NC = labels if several else np.eye(probabilities_NC.shape[1], dtype=bool)[labels]
        return float((decided(probabilities_NC, several) == carried_NC).all(axis=1).mean())

    def difference(self, found: Found, other: Found) -> Estimate:
        """Log loss of one recipe less that of another on the parts that both have seen: below 0 where it is better."""
        both = min(len(found), len(other))
        losses_N, others_N = self._losses(found[:both]), self._losses(other[:both])
        return estimate(losses_N - others_N, _sizes(found[:both]))

    def drops(self, found: Found, leader: Found) -> bool:
        """Whether a recipe is clearly behind the leader after the parts that it has seen."""
        mean, error = self.difference(found, leader)
        return len(found) >= PARTS_BEFORE_DROPPING and mean > DROPPED * error

    def better(self, found: Found, present: Found) -> bool:
        """Whether a recipe is ahead of the present one by more than luck explains."""
        return self._ahead(found, present, self.margin)

    def best(self, present: Found, entries: Sequence[Entry]) -> int | None:
        """The place of the entry to take in place of the present recipe; None where none is better than that.

        Of those that are better, the cheapest that is not behind their best one by more than one standard error.
        """
        ahead = [place for place, entry in enumerate(entries) if self.better(entry.found, present)]
        if not ahead:
            return None
        first = min(ahead, key=lambda place: self.loss(entries[place].found).mean)
        equals = [place for place in ahead if not self._ahead(entries[first].found, entries[place].found, AHEAD)]
        return min(equals, key=lambda place: (entries[place].cost, place))

    def _ahead(self, found: Found, other: Found, margin: float) -> bool:
        mean, error = self.difference(found, other)
        return mean < -margin * error

    def _losses(self, found: Found) -> np.ndarray:
        """Log loss (N,) of each document of the parts found."""
        labels = np.concatenate(self.labels[: len(found)])
        scores_NC = log_odds(np.concatenate(found), labels.ndim == 2)
        scores_NC /= best_temperature(scores_NC, labels)[0]
        if labels.ndim == 2:
            return -np.where(labels, log_expit(scores_NC), log_expit(-scores_NC)).mean(axis=1)
        return -log_softmax(scores_NC, axis=1)[np.arange(len(labels)), labels]


def estimate(values_N: np.ndarray, sizes: Sequence[int]) -> Estimate:
    """Mean over N documents in parts of these sizes, and the larger of two standard errors.

    Documents of one part were labelled by one training, whose luck they share: the spread over parts shows that, the
    spread over documents does not. But the spread over two or three parts is small by chance as often as not.
    """
    count, mean = len(values_N), float(values_N.mean())
    apart_N = values_N - mean
    error = np.sqrt(np.square(apart_N).sum() / (count * max(1, count - 1)))
    if (parts := len(sizes)) > 1:
        sums = [part.sum() for part in np.split(apart_N, np.cumsum(sizes)[:-1])]
        error = max(error, np.sqrt(parts / (parts - 1) * np.square(sums).sum()) / count)
    return Estimate(mean, float(error))


def _sizes(found: Found) -> list[int]:
    return [len(part_MC) for part_MC in found]
