"""Row of the low-shot study: both kinds as one (`python -m benchmarks.low_shot.blend imdb 100 domain 1`).

As the stage blend does it: few labels are all trained on, so the weights are those that fit what models of the others
say of each part; with all labels the validation part judges. The network is the one from the start named.
"""

from contextlib import ExitStack
from dataclasses import asdict
from typing import Any

import numpy as np

from benchmarks.low_shot.documents import given, scored
from benchmarks.low_shot.linear import learners
from benchmarks.low_shot.network import settings
from benchmarks.low_shot.paths import TOKENS, home, row, start, task
from benchmarks.low_shot.unlabelled import blend_config, unlabelled
from benchmarks.studies.labelled import ALL, Labelled
from benchmarks.studies.networks import PLACE, opened
from benchmarks.studies.rows import read_said, timed, write_row
from pipeline.base.process import run_stage
from pipeline.config.classifier import ClassifierConfig
from pipeline.config.read import parse
from pipeline.inference.held_out import HeldOut
from pipeline.inference.judging import judge_in_parts
from pipeline.linear.blend import Judged, Weights
from pipeline.linear.classifier import NgramClassifier
from pipeline.linear.em_naive_bayes import MANY
from pipeline.linear.selection import alike, enough, folds

TAUGHT = "taught"  # what naive Bayes of the blend says of the test sample, in its row


def main(corpus: str, labels: str, begins: str, seed: str) -> None:
    """Weigh the finished rows of the network and of the linear models, keep what both say together."""
    labelled, test = given(corpus, labels, seed), scored(corpus)
    network = read_said(row(begins, corpus, labels, seed))
    linear = read_said(row("linear", corpus, labels, seed))
    found: dict[str, Any] = {"weights": asdict(Weights())}
    unseen: dict[str, np.ndarray] = {}

    def blended() -> np.ndarray:
        if labels != ALL and not enough(labelled.train.labels, alike(labelled.train.texts)):
            return network[begins]
        taught = taught_by(network["unlabelled"], labelled, corpus)
        linear[MANY] = unseen[TAUGHT] = taught.predict_proba(test.texts)
        if labels == ALL:
            linear[f"validation {MANY}"] = taught.predict_proba(labelled.validation.texts)
        if labels == ALL:
            said_of = {name: linear[f"validation {name}"] for name in learners(corpus, labelled).names}
            judged = Judged("the validation part", labelled.validation.labels, network["validation"], said_of)
        else:
            judged = in_parts(labelled, corpus, labels, begins, int(seed))
        unseen.update(labels_held_out=judged.labels, network_held_out=judged.network_NC)
        unseen.update({f"{name}_held_out": said_NC for name, said_NC in judged.linear_NC.items()})
        weights = judged.weights()
        found.update(weights=asdict(weights), log_loss=judged.losses(), judged_by=len(judged.labels))
        return weights.pooled(network[begins], linear, False)

    said = timed(blended)
    used = len(labelled.train) + (len(labelled.validation) if labels == ALL else 0)
    about = {"corpus": corpus, "labels": labels, "start": begins, "seed": int(seed), "train": used, "blend": found}
    # Kept, so that another way of weighing can be tried without training anything again.
    write_row(row("blend", corpus, labels, seed), about, test.labels, {"blend": said}, unseen)


def taught_by(network_MC: np.ndarray, labelled: Labelled, corpus: str) -> NgramClassifier:
    """Naive Bayes with many steps of EM, which begins from what the network says of unlabelled documents."""
    trains, some = learners(corpus, labelled), unlabelled(corpus, labelled, blend_config().documents)
    (guess,) = trains.guesses(some.texts, [network_MC])
    return trains.fit([MANY], labelled.train.texts, labelled.train.labels, guess=guess)[MANY]


def in_parts(labelled: Labelled, corpus: str, labels: str, begins: str, seed: int) -> Judged:
    """Each part of the labelled documents, judged by models of the others."""
    config = blend_config()
    classifier = parse(ClassifierConfig, settings(corpus, labels, begins, seed), "classifier")
    train = labelled.train
    parts = folds(train.labels, config.folds, config.seed, alike(train.texts))
    documents = opened(task(corpus), home(corpus) / TOKENS / "task", labelled.rows)
    some = unlabelled(corpus, labelled, config.documents).texts
    trainings = HeldOut(classifier, PLACE.hardware, train.texts, parts, beside=some)
    begun, trains = [(start(corpus, begins), documents)], learners(corpus, labelled)
    with ExitStack() as kept:
        return judge_in_parts(trainings, begun, train.labels, trains, kept)


if __name__ == "__main__":
    run_stage(main, trains=True)
