"""The search behind `ulmfit tune`: each candidate trains on parts of the labelled documents and labels the others.

Every finished training is kept until the search has ended, so that one that was stopped goes on where it was.
"""

import sys
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from functools import cached_property
from pathlib import Path

import numpy as np

from pipeline.base.errors import UserError
from pipeline.base.files import digest, read_json, write_json
from pipeline.base.progress import seconds
from pipeline.classifier.data import LabelledDocuments, Task
from pipeline.config.blend import BlendConfig
from pipeline.config.classifier import ClassifierConfig
from pipeline.config.hardware import HardwareConfig
from pipeline.evaluation.racing import Entry, Estimate, Judge
from pipeline.inference.candidates import PRESENT, Candidate, steps, together
from pipeline.inference.held_out import Folds, HeldOut
from pipeline.inference.judging import no_copies
from pipeline.inference.tuning_table import Table, Tried
from pipeline.linear import selection


@dataclass(frozen=True)
class Unseen:
    """The documents that candidates are judged by."""

    # What they are, for people.
    by: str
    # The training documents and, where the validation part judges, its own behind them.
    texts: list[str]
    # Rows to train on and rows to judge by, of each part.
    folds: Folds
    # What is true of the rows to judge by, as `Judge` has it.
    labels: list[np.ndarray]

    @classmethod
    def choose(
        cls, task: Task, texts: list[str], validation: list[str], blend: BlendConfig, folds: int | None
    ) -> "Unseen":
        """As the blend is judged: by a large validation part, or else by folds; `folds` asks for that many of them."""
        given, held = _labels(task.train), _labels(task.validation)
        count, (judging_M, by) = len(given), no_copies(validation, texts)
        if folds is None and len(judging_M) >= blend.enough:
            return cls(by, [*texts, *validation], [(np.arange(count), count + judging_M)], [held[judging_M]])
        copies_N = selection.alike(texts)
        if not selection.enough(given, copies_N):
            raise UserError(
                f"the task has {count} labelled training documents, too few to hold any out: tuning needs "
                f"{selection.FOLDS} or more, and two each of two classes; label more of them"
            )
        if folds is not None and folds > count:
            raise UserError(f"--folds {folds} is more than the {count} labelled training documents; ask for fewer")
        parts = selection.folds(given, folds or blend.folds, blend.seed, copies_N)
        by = f"{len(parts)}-fold cross-validation on {count:,} training documents"
        return cls(by, texts, parts, [given[held_N] for _, held_N in parts])


@dataclass
class Search:
    """Tries candidates one after the other, in one direction, and prints what they have shown."""

    config: ClassifierConfig
    hardware: HardwareConfig
    language_model: Path
    task: Task
    unseen: Unseen
    candidates: Sequence[Candidate]
    # Layer groups of the classifier's network, head last.
    groups: Sequence[str]
    # Folder of what is finished and of what is under way.
    state: Path
    # Of all trainings so far: what the time left is estimated from.
    seconds: float = 0.0
    steps: int = 0

    def run(self) -> tuple[Candidate, Estimate] | None:
        """The candidate to take, and its log loss less the present one's; None where none is better than noise.

        Where several are better, their changes together are one candidate more.
        """
        present, others = self._new(PRESENT), [self._new(candidate) for candidate in self.candidates]
        table = Table.of(self.judge, present, others)
        self._train(present, 0)
        self._announce([present, *others], table)
        for number in range(1, self.parts):
            self._train(present, number)
        _say(table.row(present))
        for number, one in enumerate(others):
            self._race(one, [present, *others[:number]])
            _say(table.row(one))
            if left := others[number + 1 :]:
                _say(f"  about {self._time(left)} left")
        better = self._better(others, present)
        united = self._new(together([one.candidate for one in better]))
        if all(one.candidate.changes != united.candidate.changes for one in (present, *better)):
            self._race(united, [present, *others])
            others.append(united)
            better = self._better(others, present)
        print(f"{table.whole([present, *others])}\n{self._explained()}", flush=True)
        entries = [Entry(one.found, (one.steps, len(one.candidate.changes))) for one in better]
        best = self.judge.best(present.found, entries)
        if best is None:
            return None
        return better[best].candidate, self.judge.difference(better[best].found, present.found)

    @cached_property
    def judge(self) -> Judge:
        """What knows the truth."""
        return Judge(self.unseen.labels, tried=len(self.candidates))

    @property
    def parts(self) -> int:
        """Trainings of a candidate that is not dropped."""
        return len(self.unseen.folds)

    def _new(self, candidate: Candidate) -> Tried:
        trained_on, _ = self.unseen.folds[0]
        return Tried(candidate, steps(candidate.config(self.config), self.groups, len(trained_on)))

    def _race(self, one: Tried, before: Sequence[Tried]) -> None:
        """Train on part after part, as long as the candidate is not clearly behind the best of those before it."""
        judge = self.judge
        leader = min(self._finished(before), key=lambda other: judge.loss(other.found).mean)
        for number in range(self.parts):
            try:
                self._train(one, number)
            except UserError as error:
                # Bad settings may end in infinite numbers. A full disk says nothing about them.
                if isinstance(error.__cause__, OSError):
                    raise
                one.ended = f"failed: {str(error).split(';')[0]}"
                return
            if number + 1 < self.parts and judge.drops(one.found, leader.found):
                one.ended = f"dropped, clearly behind {leader.candidate.name}"
                return

    def _train(self, one: Tried, number: int) -> None:
        """Train on one part's documents, or take what an earlier start has found by that."""
        config = one.candidate.config(self.config)
        path = self.state / f"{digest([repr(asdict(config))])[:16]}-{number}.json"
        if path.is_file():
            result = read_json(path)
        else:
            purpose, started = f"tune {one.candidate.name}", time.monotonic()
            held_out = HeldOut(config, self.hardware, self.unseen.texts, self.unseen.folds, purpose, self.state)
            with held_out.of_fold(number, self.language_model, self.task) as found_MC:
                result = {"seconds": time.monotonic() - started, "probabilities": found_MC.tolist()}
                write_json(path, result)
        one.found.append(np.array(result["probabilities"]))
        one.seconds += result["seconds"]
        self.seconds, self.steps = self.seconds + result["seconds"], self.steps + one.steps

    def _finished(self, some: Sequence[Tried]) -> list[Tried]:
        return [one for one in some if len(one.found) == self.parts]

    def _better(self, some: Sequence[Tried], present: Tried) -> list[Tried]:
        """Those that are better than the present config, the best first."""
        judge = self.judge
        found = [one for one in self._finished(some) if judge.better(one.found, present.found)]
        return sorted(found, key=lambda one: judge.loss(one.found).mean)

    def _announce(self, every: Sequence[Tried], table: Table) -> None:
        kept = len(list(self.state.glob("*.json")))
        again = f"; {kept} are finished already" if kept > 1 else ""
        print(
            f"present config and candidates: {len(every)}, trainings at most {len(every) * self.parts}, in about "
            f"{self._time(every)} (the first took {seconds(self.seconds)}){again}",
            flush=True,
        )
        _say(table.head)

    def _explained(self) -> str:
        """What the table's words mean."""
        margin = f"`better` is ahead by more than {self.judge.margin:.1f} standard errors of the difference"
        if self.judge.tried == 1:
            return margin
        return f"{margin}: the luckiest of {self.judge.tried} equals is often ahead by one"

    def _time(self, some: Sequence[Tried]) -> str:
        """How long some candidates take on all parts, as fast as the trainings so far."""
        return seconds(self.seconds / self.steps * self.parts * sum(one.steps for one in some))


def _say(line: str) -> None:
    print(line, file=sys.stderr, flush=True)


def _labels(part: LabelledDocuments) -> np.ndarray:
    """(N,) class indices, or (N, C) booleans where a document may carry several labels."""
    targets = part.targets.numpy()
    return targets.astype(bool) if targets.ndim == 2 else targets
