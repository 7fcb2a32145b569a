"""The table that `ulmfit tune` prints: a row for each candidate as it finishes, and all of them in the end."""

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np

from pipeline.base.progress import seconds
from pipeline.evaluation.racing import Estimate, Judge
from pipeline.inference.candidates import Candidate


@dataclass
class Tried:
    """A candidate and what it has shown so far."""

    candidate: Candidate
    # Of one training.
    steps: int
    # Of each part so far, probabilities (M, C).
    found: list[np.ndarray] = field(default_factory=list)
    seconds: float = 0.0
    # Why it was not tried on all parts.
    ended: str | None = None


@dataclass(frozen=True)
class Table:
    """Columns: log loss with its standard error, accuracy, the paired difference of log loss to the present config."""

    judge: Judge
    present: Tried
    # Of the names.
    width: int

    @classmethod
    def of(cls, judge: Judge, present: Tried, others: Sequence[Tried]) -> "Table":
        """As wide as the names need."""
        return cls(judge, present, max(len(one.candidate.name) for one in (present, *others)))

    @property
    def head(self) -> str:
        """What the columns are."""
        return f"  {'':<{self.width}}  {'log loss':<15}  accuracy  {'difference':<16}  {'parts':<8}  time"

    def row(self, one: Tried) -> str:
        """What a candidate has shown, on the parts that it has seen."""
        name = f"  {one.candidate.name:<{self.width}}"
        if not one.found:
            return f"{name}  {one.ended}"
        lead, verdict = "", ""
        if one is not self.present:
            lead, verdict = shown(self.judge.difference(one.found, self.present.found), "+"), self._verdict(one)
        loss, accuracy = shown(self.judge.loss(one.found)), self.judge.accuracy(one.found)
        parts, time = f"{len(one.found)} of {len(self.judge.labels)}", seconds(one.seconds)
        return f"{name}  {loss:<15}  {accuracy:<8.3f}  {lead:<16}  {parts:<8}  {time:<6}  {verdict}".rstrip()

    def whole(self, every: Sequence[Tried]) -> str:
        """All rows, the best first; who was not tried on all parts comes last."""
        parts = len(self.judge.labels)

        def order(one: Tried) -> tuple[int, float]:
            return parts - len(one.found), self.judge.loss(one.found).mean if one.found else 0.0

        return "\n".join([self.head, *(self.row(one) for one in sorted(every, key=order))])

    def _verdict(self, one: Tried) -> str:
        if one.ended:
            return one.ended
        lead, error = self.judge.difference(one.found, self.present.found)
        if abs(lead) <= self.judge.margin * error:
            return "within noise"
        return "better" if lead < 0 else "worse"


def shown(estimate: Estimate, sign: str = "") -> str:
    """Mean and standard error.

    >>> shown(Estimate(-0.05, 0.02), "+")
    '-0.050 ± 0.020'
    """
    return f"{estimate.mean:{sign}.3f} ± {estimate.error:.3f}"
