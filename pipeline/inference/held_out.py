"""What a classifier says of documents that it has not seen: of each part of them, after training on the others."""

from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Literal

import numpy as np

from pipeline.classifier.artifact import LoadedClassifier
from pipeline.classifier.data import Task
from pipeline.classifier.network import classifier_network
from pipeline.classifier.train import ClassifierTraining
from pipeline.config.classifier import ClassifierConfig
from pipeline.config.hardware import HardwareConfig
from pipeline.inference.predictor import Predictor, said
from pipeline.interop.folders import load_language_model
from pipeline.training.resume import FOLDER, ResumeFolder, weights_digest
from pipeline.training.run import this_rank

Folds = Sequence[tuple[np.ndarray, np.ndarray]]
NONE = np.zeros(0, dtype=np.int64)


@dataclass(frozen=True)
class HeldOut:
    """The classifier's stage, run on parts of its documents."""

    config: ClassifierConfig
    hardware: HardwareConfig
    # Of the training part, in its order; others, which no fold trains on, may stand behind them.
    texts: list[str]
    folds: Folds
    # What the trainings are for: in their progress lines and the names of their resume folders.
    purpose: str = "blend"
    # Folder of the resume folders.
    resume: Path = FOLDER
    # Unlabelled texts that the network of every fold labels too.
    beside: Sequence[str] = ()

    def of_network(self, language_model: Path, task: Task, kept: ExitStack) -> tuple[np.ndarray, list[np.ndarray]]:
        """Probabilities by the network in one direction: of the texts (N, C), and by each fold those `beside` (M, C).

        A fold that was finished, or begun, before the stage was killed is not trained again: the trainings' resume
        states are `kept` until whoever uses the probabilities closes that.
        """
        found_NC, beside = np.zeros((len(self.texts), len(task.labels))), []
        for number, (_, held_N) in enumerate(self.folds):
            told_MC = kept.enter_context(self.of_fold(number, language_model, task))
            found_NC[held_N] = told_MC[: len(held_N)]
            beside.append(told_MC[len(held_N) :])
        return found_NC, beside

    @contextmanager
    def of_fold(self, number: int, language_model: Path, task: Task) -> Iterator[np.ndarray]:
        """Probabilities (M, C) of the texts that one fold holds out, and behind them of those `beside`.

        The training's resume state is kept until the block that uses them ends without an error.
        """
        train_N, held_N = self.folds[number]
        start = load_language_model(language_model)
        network = classifier_network(start.model, self.config, classes=len(task.labels))
        title = f"{self.purpose} {start.direction} {number + 1} of {len(self.folds)}"
        train = task.train.subset(train_N)
        depends = [repr(asdict(self.config)), weights_digest(network), task.tokenizer, train.digest()]
        with ResumeFolder(title, depends, this_rank(), self.resume) as state:
            part = ClassifierTraining(
                network, train, task.train.subset(NONE), self.config, self.hardware.alone(), title
            )
            part.run(state)
            trained = LoadedClassifier(network, task.labels, task.multilabel, start.direction, start.tokenizer)
            held = [self.texts[row] for row in held_N]
            found_MC = Predictor([trained], device=part.place.device).predict_proba(held)
            if self.beside:  # guesses, of which bf16 changes little
                precision: Literal["fp32", "auto"] = "auto" if part.place.precision == "bf16" else "fp32"
                beside_MC = said(
                    Predictor([trained], device=part.place.device, precision=precision),
                    list(self.beside),
                    "its unlabelled documents",
                )
                found_MC = np.concatenate([found_MC, beside_MC])
            del start, network, part, trained  # all that holds the network, which folds that stay open do not need
            yield found_MC
            state.finish()
