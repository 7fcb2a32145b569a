"""What the scripts of the peers share. Plain Python: it runs in their environment and knows nothing of ours.

A peer is given the same things whichever it is: two files of unlabelled text, a folder with a task, the rows of its
training documents that are labelled, minutes and threads. It answers with a label for each test document.
"""

import argparse
import hashlib
import json
import os
import random
import shutil
import time
from collections import defaultdict
from collections.abc import Callable, Iterator, Sequence
from importlib.metadata import version
from pathlib import Path
from typing import Any, NamedTuple, Protocol

READING = 0.1  # of a stage's minutes go to reading and tokenising at most; the rest trains
VALIDATED = 0.2  # of the labels choose among a peer's schedules
HELD_OUT = 0.02  # of the unlabelled text tells the loss of a language model; it trains on the rest


class Budget:
    """A stage's minutes of wall clock, from text to weights; the clock runs from the start."""

    def __init__(self, minutes: float) -> None:
        self.seconds = 60 * minutes
        self.started = time.perf_counter()

    def elapsed(self) -> float:
        """Seconds since the start."""
        return time.perf_counter() - self.started

    def spent(self) -> float:
        """The share of the minutes that is gone, at most 1: what a schedule of the learning rate follows."""
        return min(1.0, self.elapsed() / self.seconds)

    def reading(self) -> bool:
        """Whether there is still time to read."""
        return self.spent() < READING


class Progress:
    """How far a language model's training is: its minutes, or its passes over the text where that is little."""

    def __init__(self, budget: Budget, most_steps: int) -> None:
        self.budget, self.most_steps, self.steps = budget, most_steps, 0
        self._begun = budget.elapsed()

    def share(self) -> float:
        """From 0 at the first step to 1 at the end."""
        minutes = (self.budget.elapsed() - self._begun) / max(self.budget.seconds - self._begun, 1e-9)
        return min(1.0, max(minutes, self.steps / self.most_steps))


class Labelled(NamedTuple):
    """Documents with one label each, by name."""

    texts: list[str]
    labels: list[str]

    def some(self, rows: Sequence[int]) -> "Labelled":
        """Those in some rows."""
        return Labelled([self.texts[row] for row in rows], [self.labels[row] for row in rows])


class Peer(Protocol):
    """What each script brings."""

    # Its name in the tables.
    name: str
    # The packages whose versions stand beside its numbers.
    packages: tuple[str, ...]

    def settings(self, options: argparse.Namespace) -> dict[str, Any]:
        """All that its language models depend on, beside text, minutes and threads."""

    def language_model(
        self, text: Path, start: Path | None, out: Path, budget: Budget, options: argparse.Namespace
    ) -> dict[str, Any]:
        """Train within the budget, from `start` if it is given; write weights to `out`, return what to report."""

    def classify(
        self, model: Path, given: Labelled, asked: list[str], options: argparse.Namespace
    ) -> tuple[list[str], dict[str, Any]]:
        """Fine-tune on the labels given, with `options.threads`; the labels of the documents asked, what to report."""


def arguments(description: str | None) -> argparse.ArgumentParser:
    """The arguments that all peers take."""
    parser = argparse.ArgumentParser(description=(description or "").split("\n\n")[0])
    default = "(default: %(default)s)"
    lines = 'lines of {"text": ...}'
    parser.add_argument("--generic", type=Path, required=True, help=f"generic corpus, {lines}")
    parser.add_argument("--domain", type=Path, required=True, help=f"the task's unlabelled text, {lines}")
    parser.add_argument("--minutes-generic", type=float, default=20, help=f"of pretraining {default}")
    parser.add_argument("--minutes-domain", type=float, default=10, help=f"of domain fine-tuning {default}")
    parser.add_argument("--domain-epochs", type=int, default=10, help=f"passes over the domain at most {default}")
    parser.add_argument("--lm", type=Path, required=True, help="folder that keeps language models for further runs")
    parser.add_argument("--task", type=Path, required=True, help="folder with train.jsonl (text, label), test.jsonl")
    parser.add_argument("--rows", type=Path, required=True, help="JSON list: the rows of train.jsonl that are labelled")
    parser.add_argument("--seed", type=int, default=1, help=f"of the classifier {default}")
    parser.add_argument("--threads", type=int, default=4, help=f"of the language models {default}")
    parser.add_argument("--threads-classifier", type=int, default=4, help=f"which has no clock {default}")
    parser.add_argument("--out", type=Path, required=True, help="where the answers go, JSON")
    return parser


def run(peer: Peer, options: argparse.Namespace) -> None:
    """Train what is missing of the language models, fine-tune, answer."""
    given, asked = read_task(options.task, options.rows)
    generic, generic_facts = _stage(peer, "generic", options.generic, None, options.minutes_generic, options)
    domain, domain_facts = _stage(peer, "domain", options.domain, generic, options.minutes_domain, options)
    options.threads = options.threads_classifier
    started = time.perf_counter()
    answers, facts = peer.classify(domain, given, asked, options)
    write_json(
        options.out,
        {
            "peer": peer.name,
            "answers": answers,
            "labels": len(given.labels),
            "settings": peer.settings(options),
            "generic": generic_facts,
            "domain": domain_facts,
            "classifier": {**facts, "seconds": round(time.perf_counter() - started, 1), "threads": options.threads},
            "versions": {name: version(name) for name in peer.packages},
        },
    )


def _stage(
    peer: Peer, name: str, text: Path, start: Path | None, minutes: float, options: argparse.Namespace
) -> tuple[Path, dict[str, Any]]:
    """A language model's folder and facts: made once for all that it depends on."""
    about = [
        peer.name,
        peer.settings(options),
        name,
        sha256(text),
        start.name if start else None,
        minutes,
        options.threads,
        options.domain_epochs if start else None,
    ]
    key = hashlib.sha256(json.dumps(about, sort_keys=True).encode()).hexdigest()[:12]
    folder = options.lm / f"{name}-{key}"
    if not (folder / "facts.json").is_file():
        print(f"{peer.name}: {name}, {minutes} minutes", flush=True)
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir(parents=True)
        worked, budget = time.process_time(), Budget(minutes)
        facts = peer.language_model(text, start, folder, budget, options)
        # Processor time tells how much of its minutes a peer really had on a machine that others use.
        facts |= {"minutes": minutes, "processor_seconds": round(time.process_time() - worked, 1)}
        write_json(folder / "facts.json", facts)
        print(f"{peer.name}: {name}, {facts}", flush=True)
    return folder, json.loads((folder / "facts.json").read_text(encoding="utf-8"))


def read_task(folder: Path, rows: Path) -> tuple[Labelled, list[str]]:
    """The labelled documents, and the texts to answer for."""
    train = list(read_lines(folder / "train.jsonl"))
    chosen = [train[row] for row in json.loads(rows.read_text(encoding="utf-8"))]
    given = Labelled([one["text"] for one in chosen], [one["label"] for one in chosen])
    return given, [one["text"] for one in read_lines(folder / "test.jsonl")]


def read_lines(file: Path) -> Iterator[dict[str, Any]]:
    """The objects of a file with one JSON object a line."""
    with file.open(encoding="utf-8") as lines:
        for line in lines:
            yield json.loads(line)


def read_within(file: Path, budget: Budget, convert: Callable[[list[str]], list[Any]], batch: int = 500) -> list[Any]:
    """Documents of a corpus, converted batch by batch, as many as the time for reading allows; one batch at least."""
    found: list[Any] = []
    texts: list[str] = []
    for one in read_lines(file):
        texts.append(one["text"])
        if len(texts) == batch:
            found += convert(texts)
            texts = []
            if not budget.reading():
                break
    return found + (convert(texts) if texts else [])


def held_out(documents: list[Any]) -> tuple[list[Any], list[Any]]:
    """Documents to train on, and those that tell the loss: the last ones."""
    cut = max(1, round(len(documents) * HELD_OUT))
    return documents[:-cut], documents[-cut:]


def split(given: Labelled, share: float, seed: int) -> tuple[Labelled, Labelled]:
    """Two parts of some labelled documents; the second has that share of each class, of a class with one document none.

    For a peer's own choices, which must come out of the labels that it was given.
    """
    by_label = defaultdict(list)
    for row, label in enumerate(given.labels):
        by_label[label].append(row)
    shuffle, second = random.Random(seed), set()
    for label in sorted(by_label):
        rows = by_label[label]
        shuffle.shuffle(rows)
        second.update(rows[: min(len(rows) - 1, max(1, round(len(rows) * share)))])
    first = [row for row in range(len(given.labels)) if row not in second]
    return given.some(first), given.some(sorted(second))


def choose(
    given: Labelled, seed: int, ways: Sequence[Any], answers: Callable[[Labelled, list[str], Any], list[str]]
) -> tuple[Any, dict[str, float]]:
    """The way that is right most often on a fifth of the labels, after training on the others, and the share of each.

    answers: trains on some documents in a given way, and names the labels of others.
    """
    first, second = split(given, VALIDATED, seed)
    tried = {}
    for way in ways:
        right = [one == label for one, label in zip(answers(first, second.texts, way), second.labels, strict=True)]
        tried[way] = sum(right) / len(right)
    return max(ways, key=lambda way: tried[way]), {str(way): round(share, 4) for way, share in tried.items()}


def sha256(file: Path) -> str:
    """Hex digest of a file's bytes."""
    with file.open("rb") as opened:
        return hashlib.file_digest(opened, "sha256").hexdigest()


def write_json(file: Path, value: Any) -> None:
    """Write JSON whole or not at all."""
    file.parent.mkdir(parents=True, exist_ok=True)
    partial = file.with_name(f".{file.name}.{os.getpid()}.partial")
    partial.write_text(json.dumps(value, sort_keys=True, indent=2) + "\n", encoding="utf-8")
    partial.replace(file)
