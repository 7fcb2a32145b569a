"""What network and linear models say of labelled documents that neither has seen, part after part of them."""

from collections.abc import Collection, Sequence
from contextlib import ExitStack
from pathlib import Path

import numpy as np

from pipeline.base.processors import usable_processors
from pipeline.classifier.data import Task
from pipeline.inference.held_out import HeldOut
from pipeline.linear.blend import Judged
from pipeline.linear.held_out import held_out
from pipeline.linear.learners import Learners


def no_copies(validation: Sequence[str], train: Collection[str]) -> tuple[np.ndarray, str]:
    """Rows (M,) of the validation documents that can judge, and what they are, for people.

    Copies of training documents cannot: a model that has seen the answer would look better than it is.
    """
    known = set(train)
    rows_M = np.array([row for row, text in enumerate(validation) if text not in known], dtype=np.int64)
    copies = len(validation) - len(rows_M)
    left_out = f" ({copies:,} copies of training documents left out)" if copies else ""
    return rows_M, f"{len(rows_M):,} validation documents{left_out}"


def judge_in_parts(
    trainings: HeldOut, starts: Sequence[tuple[Path, Task]], given: np.ndarray, learners: Learners, kept: ExitStack
) -> Judged:
    """Each part of the training documents is predicted by models that were trained on the others.

    Args:
        trainings: of the network on the parts, with the unlabelled documents that naive Bayes with EM begins from.
        starts: the language model of each direction, and the task in that direction.
        given: labels of the texts, (N,) class indices, or (N, C) booleans where a document may carry several.
        kept: holds the trainings' resume states; to be closed when what they have judged is written.
    """
    said = [trainings.of_network(language_model, task, kept) for language_model, task in starts]
    network_NC = np.mean([said_NC for said_NC, _ in said], axis=0)
    told = [np.mean(of_fold, axis=0) for of_fold in zip(*(beside for _, beside in said), strict=True)]
    guesses = learners.guesses(trainings.beside, told) if trainings.beside else None
    linear = held_out(learners, trainings.texts, given, trainings.folds, usable_processors(), guesses)
    by = f"{len(trainings.folds)}-fold cross-validation on {len(trainings.texts):,} documents"
    return Judged(by, given, network_NC, linear)
