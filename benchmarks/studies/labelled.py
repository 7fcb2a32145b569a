"""The labelled documents of a run of a study, and those that it is scored on: the same for all that are compared."""

from dataclasses import dataclass
from pathlib import Path
from typing import Self

import numpy as np

from pipeline.base.errors import UserError
from pipeline.base.files import read_json
from pipeline.text.prepared import read_labels, read_texts

ALL = "all"  # in place of a number of labels
LEAST = 2  # documents of each class, where it has them: one to learn from while the other is held out


def draw(labels_N: np.ndarray, number: int, seed: int) -> np.ndarray:
    """Rows of `number` documents, sorted: of each class its share, and `LEAST` at least where it has them.

    A draw holds all documents of the smaller draws with its seed.

    Args:
        labels_N: class indices.
    """
    counts_C = np.bincount(labels_N)
    fewest = int(np.minimum(counts_C, LEAST).sum())
    if not fewest <= number <= len(labels_N):
        raise UserError(f"labels: {number} cannot be drawn; ask for {fewest} to {len(labels_N)}")
    random = np.random.Generator(np.random.PCG64(seed))
    turn_N = np.zeros(len(labels_N))  # when a document is taken: each class goes by at an even pace from 0 to 1
    for label in np.flatnonzero(counts_C):
        rank = np.arange(counts_C[label])
        turns = np.where(rank < LEAST, -1.0, (rank + 0.5) / counts_C[label])
        turn_N[random.permutation(np.flatnonzero(labels_N == label))] = turns
    return np.sort(np.argsort(turn_N, kind="stable")[:number])


def sample(documents: int, most: int, seed: int) -> np.ndarray:
    """Rows of at most `most` of some documents, sorted: the same for the same seed."""
    return np.sort(np.random.Generator(np.random.PCG64(seed)).permutation(documents)[:most])


@dataclass(frozen=True)
class Part:
    """Documents of a task with one label each."""

    texts: list[str]
    # Class indices (N,).
    labels: np.ndarray

    @classmethod
    def read(cls, task: Path, name: str) -> Self:
        """The part `name` of a prepared task."""
        file = task / f"{name}.parquet"
        return cls(list(read_texts(file)), np.asarray(read_labels(file), dtype=np.int64))

    def __len__(self) -> int:
        return len(self.labels)

    def some(self, rows: np.ndarray) -> "Part":
        """Those in some rows."""
        return Part([self.texts[row] for row in rows], self.labels[rows])


@dataclass(frozen=True)
class Labelled:
    """What all systems of a run are given."""

    classes: tuple[str, ...]
    spaced: bool
    # Rows of the training part that are labelled in this run.
    rows: np.ndarray
    train: Part
    # Not labelled in a run with few labels, so only to be read with all of them.
    validation: Part

    @classmethod
    def of(cls, task: Path, labels: str, seed: int) -> Self:
        """Draw from a prepared task; `labels`: their number, or `ALL`."""
        described = read_json(task / "labels.json")
        if described["multilabel"]:
            raise UserError(f"{task}: documents with several labels; choose a task with one label a document")
        train = Part.read(task, "train")
        rows = np.arange(len(train)) if labels == ALL else draw(train.labels, int(labels), seed)
        validation = Part.read(task, "validation")
        return cls(tuple(described["labels"]), described["spaced"], rows, train.some(rows), validation)
