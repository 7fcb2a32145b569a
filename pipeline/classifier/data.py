"""Labelled documents as tokens, and the batches made of them."""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Protocol, Self

import numpy as np
import torch
from torch import Tensor

from pipeline.base.errors import UserError
from pipeline.base.files import read_json
from pipeline.batches.reverse import reverse_document
from pipeline.classifier.loss import targets
from pipeline.classifier.reading import Reading
from pipeline.shards.read import TokenCorpus
from pipeline.text.prepared import read_labels


class Documents(Protocol):
    """Token arrays by number: a `TokenCorpus`, or texts that were tokenised in memory."""

    def document(self, number: int) -> np.ndarray: ...

    def lengths(self) -> np.ndarray: ...


@dataclass(frozen=True)
class InMemory:
    """A list of token arrays as `Documents`."""

    tokens: Sequence[np.ndarray]

    def document(self, number: int) -> np.ndarray:
        """Tokens of one document."""
        return self.tokens[number]

    def lengths(self) -> np.ndarray:
        """Tokens of each document, int64."""
        return np.array([len(tokens) for tokens in self.tokens], dtype=np.int64)


@dataclass(frozen=True)
class Some:
    """Some of the documents, as `Documents`."""

    of: Documents
    numbers: np.ndarray

    def document(self, number: int) -> np.ndarray:
        """Tokens of one of them."""
        return self.of.document(int(self.numbers[number]))

    def lengths(self) -> np.ndarray:
        """Tokens of each of them, int64."""
        return self.of.lengths()[self.numbers]


@dataclass(frozen=True)
class Joined:
    """Documents, and others numbered behind them, as `Documents`."""

    first: Documents
    then: Documents

    @cached_property
    def _before(self) -> int:
        return len(self.first.lengths())

    def document(self, number: int) -> np.ndarray:
        """Tokens of one of them."""
        return self.first.document(number) if number < self._before else self.then.document(number - self._before)

    def lengths(self) -> np.ndarray:
        """Tokens of each of them, int64."""
        return np.concatenate([self.first.lengths(), self.then.lengths()])


@dataclass(frozen=True)
class LabelledDocuments:
    """Documents and their targets: int64 (N,), or 0/1 float32 (N, C) for several labels a document."""

    documents: Documents
    targets: Tensor
    reverse: bool = False
    # The targets are somebody's probabilities, float32 (N, C), of the one label that each document has.
    guessed: bool = False

    def __len__(self) -> int:
        return len(self.targets)

    @cached_property
    def lengths(self) -> np.ndarray:
        """Tokens of each document."""
        return self.documents.lengths()

    def subset(self, numbers: np.ndarray) -> "LabelledDocuments":
        """Those of these numbers, numbered anew in their order."""
        return replace(self, documents=Some(self.documents, numbers), targets=self.targets[torch.as_tensor(numbers)])

    def digest(self) -> str:
        """Digest of texts and targets: what a training depends on."""
        targets = self.targets.numpy()
        about = (self.reverse, self.lengths.tolist(), str(targets.dtype), targets.shape)
        whole = hashlib.sha256(repr(about).encode())
        whole.update(targets.tobytes())  # as Python's numbers they would take many times the memory
        for number in range(len(self)):
            whole.update(self.documents.document(number).astype(np.int64).tobytes())
        return whole.hexdigest()

    def by_length(self) -> np.ndarray:
        """Numbers of the documents, longest first, so that a batch that does not fit fails at once."""
        return np.argsort(-self.lengths, kind="stable")

    def batch(self, numbers: np.ndarray, reading: Reading) -> dict[str, Tensor]:
        """A padded batch of some documents: `tokens_BT`, `lengths_B`, `targets`."""
        tokens = [self.documents.document(int(number)) for number in numbers]
        if self.reverse:
            tokens = [reverse_document(document) for document in tokens]
        tokens_BT, lengths_B = reading.batch(tokens)
        return {"tokens_BT": tokens_BT, "lengths_B": lengths_B, "targets": self.targets[torch.as_tensor(numbers)]}


@dataclass(frozen=True)
class Task:
    """The labelled parts of a task, as the stages prepare and tokenise leave them."""

    labels: tuple[str, ...]
    multilabel: bool
    text: tuple[str, ...]  # the columns that made a document
    train: LabelledDocuments
    validation: LabelledDocuments
    tokenizer: str  # fingerprint
    max_characters: int | None = None  # that were kept of a document; None: all

    @classmethod
    def open(cls, prepared: Path, tokens: Path, *, reverse: bool) -> Self:
        """Open data/prepared/task and data/tokens/task; the test part is left closed."""
        labels, multilabel, text, most = _described(prepared / "labels.json")

        def part(name: str) -> LabelledDocuments:
            corpus = TokenCorpus(tokens / name)
            corpus.verify()
            of_documents = read_labels(prepared / f"{name}.parquet")
            if len(of_documents) != corpus.documents:
                raise UserError(
                    f"{tokens / name}: {corpus.documents} documents, but {prepared / name}.parquet has "
                    f"{len(of_documents)}; run `dvc repro` to tokenise again"
                )
            return LabelledDocuments(corpus, targets(of_documents, len(labels), multilabel), reverse)

        tokenizer = TokenCorpus(tokens / "train").tokenizer
        return cls(labels, multilabel, text, part("train"), part("validation"), tokenizer, most)


def _described(path: Path) -> tuple[tuple[str, ...], bool, tuple[str, ...], int | None]:
    """Labels, whether a document may have several, the columns of its text and its longest, of a labels.json."""
    described = read_json(path)
    names = described if isinstance(described, dict) else {}
    for key, kind in (("labels", list), ("multilabel", bool), ("text", list)):
        if not isinstance(names.get(key), kind):
            raise UserError(f"{path}: is damaged (`{key}` is missing or wrong); delete it and run `dvc repro` again")
    return tuple(names["labels"]), names["multilabel"], tuple(names["text"]), names.get("max_characters")
