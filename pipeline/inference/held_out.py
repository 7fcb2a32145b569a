"""What a classifier says of documents that it has not seen: of each part of them, after training on the others."""

import os
import signal
import threading
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import BrokenExecutor
from contextlib import ExitStack, contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
from joblib import Parallel, delayed

from pipeline.base.errors import UserError
from pipeline.base.progress import track
from pipeline.classifier.artifact import LoadedClassifier
from pipeline.classifier.data import Task
from pipeline.classifier.network import classifier_network
from pipeline.classifier.train import ClassifierTraining
from pipeline.config.classifier import ClassifierConfig
from pipeline.config.hardware import HardwareConfig
from pipeline.inference.predictor import Predictor
from pipeline.interop.folders import load_language_model
from pipeline.linear.learners import Learners
from pipeline.training.environment import usable_processors
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

    def of_network(self, language_model: Path, task: Task) -> np.ndarray:
        """Probabilities (N, C) of the texts by the network in one direction.

        A fold that was finished, or begun, before the stage was killed is not trained again.
        """
        found_NC = np.zeros((len(self.texts), len(task.labels)))
        with ExitStack() as stack:
            for number, (_, held_N) in enumerate(self.folds):
                found_NC[held_N] = stack.enter_context(self.of_fold(number, language_model, task))
        return found_NC

    @contextmanager
    def of_fold(self, number: int, language_model: Path, task: Task) -> Iterator[np.ndarray]:
        """Probabilities (M, C) of the texts that one fold holds out.

        The training's resume state is kept until the block that uses them ends without an error.
        """
        train_N, held_N = self.folds[number]
        start = load_language_model(language_model)
        network = classifier_network(start.model, self.config, classes=len(task.labels))
        title = f"{self.purpose} {start.direction} {number + 1} of {len(self.folds)}"
        train = task.train.subset(train_N)
        depends = [repr(asdict(self.config)), weights_digest(network), task.tokenizer, repr(train_N.tolist())]
        depends += [repr(train.targets.tolist()), repr(train.lengths.tolist())]
        with ResumeFolder(title, depends, this_rank(), self.resume) as state:
            part = ClassifierTraining(
                network, train, task.train.subset(NONE), self.config, self.hardware.alone(), title
            )
            part.run(state)
            trained = LoadedClassifier(network, task.labels, task.multilabel, start.direction, start.tokenizer)
            held = [self.texts[row] for row in held_N]
            found_MC = Predictor([trained], device=part.place.device).predict_proba(held)
            del start, network, part, trained  # several folds may stay open, and need no network any more
            yield found_MC
            state.finish()

    def of_linear(self, learners: Learners, labels: np.ndarray) -> dict[str, np.ndarray]:
        """The same by each linear model, by its name; each processor trains one at a time."""
        wanted = [(name, *fold) for name in learners.names for fold in self.folds]
        found = {name: np.zeros((len(self.texts), learners.classes)) for name in learners.names}
        processes = min(usable_processors(), len(wanted))
        side_by_side = Parallel(
            processes,
            return_as="generator",
            batch_size=1,
            pre_dispatch="all",
            max_nbytes=None,
            initializer=_end_with,
            initargs=(os.getpid(),),
        )
        with _deaf_to_ctrl_c():
            answers = side_by_side(delayed(_of_part)(learners, self.texts, labels, *part) for part in wanted)
        try:
            for (name, _, held_N), part_NC in zip(wanted, track(answers, "linear models", len(wanted)), strict=True):
                found[name][held_N] = part_NC
        except BrokenExecutor as error:
            raise UserError(
                f"a process that trains linear models was killed, most likely for want of memory; {processes} train "
                f"side by side, fewer with OMP_NUM_THREADS={max(1, processes // 2)}"
            ) from error
        return found


def _of_part(
    learners: Learners, texts: list[str], labels: np.ndarray, name: str, train_N: np.ndarray, held_N: np.ndarray
) -> np.ndarray:
    fitted = learners.fit(name, [texts[row] for row in train_N], labels[train_N])
    return fitted.predict_proba([texts[row] for row in held_N])


@contextmanager
def _deaf_to_ctrl_c() -> Iterator[None]:
    """For the start of processes, which inherit it: Ctrl-C reaches them as well, and this one has the word."""
    before = signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, before)


def _end_with(parent: int) -> None:
    """Have this process end with the one that asks, which may be killed, not minutes later."""

    def watch() -> None:
        while os.getppid() == parent:
            time.sleep(1)
        os._exit(1)

    threading.Thread(target=watch, daemon=True).start()
