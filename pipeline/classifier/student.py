"""Self-training by soft labels: what a finished classifier says of unlabelled documents teaches a network anew.

The teacher, network and linear models as one, passes on what each of them knows (Bucila, Caruana & Niculescu-Mizil
2006, "Model compression"; Hinton, Vinyals & Dean 2015, arXiv 1503.02531), on the text of the domain (Scudder 1965).
"""

from collections.abc import Collection
from dataclasses import dataclass, replace
from itertools import islice
from pathlib import Path
from typing import Self

import numpy as np
import torch
import torch.nn.functional as F

from pipeline.classifier.data import Documents, Joined, Some, Task
from pipeline.config.self_train import SelfTrainConfig
from pipeline.text.prepared import read_texts


@dataclass(frozen=True)
class Unlabelled:
    """Documents of the domain that carry no label."""

    # Their places in the domain's training part, ascending.
    rows: np.ndarray
    texts: list[str]
    # How many there are in all, of which these were taken.
    there: int

    @classmethod
    def among(cls, domain: Path, labelled: Collection[str], most: int) -> Self:
        """Of a prepared corpus's documents that are not labelled all, or `most` of them, spread evenly over it."""
        known = set(labelled)
        rows_N = np.fromiter((row for row, text in enumerate(read_texts(domain)) if text not in known), np.int64)
        rows_N = rows_N[spread(there := len(rows_N), most)]
        wanted = set(rows_N.tolist())
        upto = islice(enumerate(read_texts(domain)), max(wanted, default=-1) + 1)
        return cls(rows_N, [text for row, text in upto if row in wanted], there)


def spread(documents: int, most: int) -> list[int]:
    """The places of all documents, or of `most` of them at even distances, ascending."""
    return [place * documents // most for place in range(most)] if most < documents else list(range(documents))


def reason_not_to(config: SelfTrainConfig, *, multilabel: bool) -> str | None:
    """Why there is no student, if there is none whatever the number of documents."""
    if config.documents == 0:
        return "`documents: 0`: no student"
    if multilabel:
        return "several labels a document: no student"
    return None


def too_few(config: SelfTrainConfig, *, unlabelled: int, labelled: int) -> str | None:
    """Whether there are too few documents for a student, and of which; `unlabelled`: there are, not are taken."""
    if unlabelled < labelled:
        return f"{unlabelled:,} unlabelled documents for {labelled:,} labelled ones: no student"
    if config.documents < labelled:
        return f"`documents: {config.documents}` for {labelled:,} labelled ones: no student"
    return None


def taught(task: Task, domain: Documents, rows: np.ndarray, said_NC: np.ndarray) -> Task:
    """The task with the teacher's word on some documents of the domain behind the labelled ones.

    Args:
        task: with one label a document.
        domain: its documents' tokens.
        rows: (N,) which of them.
        said_NC: probabilities of the classes.
    """
    given = task.train
    known_MC = F.one_hot(given.targets, len(task.labels)).float()
    targets = torch.cat([known_MC, torch.from_numpy(said_NC).float()])
    train = replace(given, documents=Joined(given.documents, Some(domain, rows)), targets=targets, guessed=True)
    return replace(task, train=train)
