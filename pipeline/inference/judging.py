"""What network and linear models say of labelled documents that neither has seen, part after part of them."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from pipeline.base.processors import usable_processors
from pipeline.classifier.data import Task
from pipeline.inference.held_out import HeldOut
from pipeline.linear.blend import Judged
from pipeline.linear.held_out import held_out
from pipeline.linear.learners import Learners


def judge_in_parts(
    trainings: HeldOut, starts: Sequence[tuple[Path, Task]], given: np.ndarray, learners: Learners
) -> Judged:
    """Each part of the training documents is predicted by models that were trained on the others.

    Args:
        trainings: of the network on the parts, with the unlabelled documents that naive Bayes with EM begins from.
        starts: the language model of each direction, and the task in that direction.
        given: labels of the texts, (N,) class indices, or (N, C) booleans where a document may carry several.
    """
    said = [trainings.of_network(language_model, task) for language_model, task in starts]
    network_NC = np.mean([said_NC for said_NC, _ in said], axis=0)
    told = [np.mean(of_fold, axis=0) for of_fold in zip(*(beside for _, beside in said), strict=True)]
    guesses = learners.guesses(trainings.beside, told) if trainings.beside else None
    linear = held_out(learners, trainings.texts, given, trainings.folds, usable_processors(), guesses)
    by = f"{len(trainings.folds)}-fold cross-validation on {len(trainings.texts):,} documents"
    return Judged(by, given, network_NC, linear)
