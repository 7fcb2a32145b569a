"""What a classifier says of documents that it has not seen: of each part of them, after training on the others."""

from collections.abc import Callable, Sequence
from contextlib import ExitStack
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np

from pipeline.classifier.artifact import LoadedClassifier
from pipeline.classifier.data import Task
from pipeline.classifier.network import classifier_network
from pipeline.classifier.train import ClassifierTraining
from pipeline.config.classifier import ClassifierConfig
from pipeline.config.hardware import HardwareConfig
from pipeline.inference.predictor import Predictor
from pipeline.interop.folders import load_language_model
from pipeline.linear.classifier import NgramClassifier
from pipeline.training.resume import ResumeFolder, weights_digest
from pipeline.training.run import this_rank

Folds = Sequence[tuple[np.ndarray, np.ndarray]]
NONE = np.zeros(0, dtype=np.int64)


@dataclass(frozen=True)
class HeldOut:
    """The classifier's stage, run on parts of its documents."""

    config: ClassifierConfig
    hardware: HardwareConfig
    # Of the training part, in its order.
    texts: list[str]
    folds: Folds

    def of_network(self, language_model: Path, task: Task) -> np.ndarray:
        """Probabilities (N, C) of the training documents by the network in one direction.

        A fold that was finished, or begun, before the stage was killed is not trained again.
        """
        found_NC = np.zeros((len(self.texts), len(task.labels)))
        with ExitStack() as stack:
            states = []
            for number, (train_N, held_N) in enumerate(self.folds, 1):
                start = load_language_model(language_model)
                network = classifier_network(start.model, self.config, classes=len(task.labels))
                title = f"blend {start.direction} {number} of {len(self.folds)}"
                depends = [repr(asdict(self.config)), weights_digest(network), task.tokenizer, repr(train_N.tolist())]
                states.append(stack.enter_context(ResumeFolder(title, depends, this_rank())))
                part = ClassifierTraining(
                    network, task.train.subset(train_N), task.train.subset(NONE), self.config, self.hardware, title
                )
                part.run(states[-1])
                trained = LoadedClassifier(network, task.labels, task.multilabel, start.direction, start.tokenizer)
                device = part.place.device
                held = [self.texts[row] for row in held_N]
                found_NC[held_N] = Predictor([trained], device=device).predict_proba(held)
            for state in states:
                state.finish()
        return found_NC

    def of_linear(self, fit: Callable[[list[str], np.ndarray], NgramClassifier], labels: np.ndarray) -> np.ndarray:
        """The same by a linear model."""
        parts = []
        for train_N, held_N in self.folds:
            fitted = fit([self.texts[row] for row in train_N], labels[train_N])
            parts.append((held_N, fitted.predict_proba([self.texts[row] for row in held_N])))
        found_NC = np.zeros((len(self.texts), parts[0][1].shape[1]))
        for held_N, part_NC in parts:
            found_NC[held_N] = part_NC
        return found_NC
