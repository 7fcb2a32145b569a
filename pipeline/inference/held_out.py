"""What a classifier says of documents that it has not seen: of each part of them, after training on the others."""

import os
import signal
import threading
from collections.abc import Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from contextlib import ExitStack, contextmanager
from dataclasses import asdict, dataclass
from multiprocessing import get_context, parent_process
from multiprocessing.queues import SimpleQueue
from pathlib import Path

import numpy as np

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
        for_all = (learners, self.texts, labels)
        processes = min(usable_processors(), len(wanted))
        with ExitStack() as stack:
            if processes == 1:
                answers: Iterator[np.ndarray] = (_of_part(*for_all, *part) for part in wanted)
            else:
                spawn = get_context("spawn")
                handed = spawn.SimpleQueue()
                pool = ProcessPoolExecutor(processes, spawn, initializer=_keep, initargs=(handed,))
                stack.enter_context(pool)  # when it is stopped it waits for the parts that are begun, some seconds
                with _deaf_to_ctrl_c():
                    answers = pool.map(_of_kept, wanted)
                threading.Thread(target=_hand_out, args=(handed, for_all, processes), daemon=True).start()
            for (name, _, held_N), part_NC in zip(wanted, track(answers, "linear models", len(wanted)), strict=True):
                found[name][held_N] = part_NC
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


ForAll = tuple[Learners, list[str], np.ndarray]
_kept: list[ForAll] = []  # of a process that trains for another


def _hand_out(queue: "SimpleQueue[ForAll]", for_all: ForAll, processes: int) -> None:
    """Give each process what all parts share, once it is there to take it.

    As an argument of its start it would fill the pipe, and no process would start before the last one has imported all.
    """
    for _ in range(processes):
        queue.put(for_all)


def _keep(queue: "SimpleQueue[ForAll]") -> None:
    """Take what all parts share once, not with each of them; end with the process that asks, however it ends."""
    threading.Thread(target=_end_with_parent, daemon=True).start()
    _kept[:] = [queue.get()]


def _end_with_parent() -> None:
    if (parent := parent_process()) is not None:
        parent.join()
    os._exit(1)


def _of_kept(part: tuple[str, np.ndarray, np.ndarray]) -> np.ndarray:
    return _of_part(*_kept[0], *part)
