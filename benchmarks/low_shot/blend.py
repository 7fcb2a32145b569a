"""Row of the low-shot study: both kinds as one (`python -m benchmarks.low_shot.blend imdb 100 domain 1`).

As the stage blend does it: few labels are all trained on, so the weights are those that fit what models of the others
say of each part; with all labels the validation part judges. The network is the one from the start named.
"""

from dataclasses import asdict
from typing import Any

import numpy as np

from benchmarks.low_shot.documents import given, scored
from benchmarks.low_shot.linear import learners
from benchmarks.low_shot.network import settings
from benchmarks.low_shot.paths import TOKENS, home, params, row, start, task
from benchmarks.studies.labelled import ALL, Labelled
from benchmarks.studies.networks import PLACE, opened
from benchmarks.studies.recipes import recipe
from benchmarks.studies.rows import read_said, timed, write_row
from pipeline.base.process import run_stage
from pipeline.base.processors import usable_processors
from pipeline.config.blend import BlendConfig
from pipeline.config.classifier import ClassifierConfig
from pipeline.config.read import parse
from pipeline.inference.held_out import HeldOut
from pipeline.linear.blend import Judged, Weights
from pipeline.linear.held_out import held_out
from pipeline.linear.selection import enough, folds


def main(corpus: str, labels: str, begins: str, seed: str) -> None:
    """Weigh the finished rows of the network and of the linear models, keep what both say together."""
    labelled, test = given(corpus, labels, seed), scored(corpus)
    network = read_said(row(begins, corpus, labels, seed))
    linear = read_said(row("linear", corpus, labels, seed))
    found: dict[str, Any] = {"weights": asdict(Weights())}
    unseen: dict[str, np.ndarray] = {}

    def blended() -> np.ndarray:
        if labels != ALL and not enough(labelled.train.labels):
            return network[begins]
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


def in_parts(labelled: Labelled, corpus: str, labels: str, begins: str, seed: int) -> Judged:
    """Each part of the labelled documents, judged by models of the others."""
    config = parse(BlendConfig, recipe("blend", params()["blend"]), "blend")
    classifier = parse(ClassifierConfig, settings(corpus, labels, begins, seed), "classifier")
    parts, train = folds(labelled.train.labels, config.folds, config.seed), labelled.train
    linear = held_out(learners(corpus, labelled), train.texts, train.labels, parts, usable_processors())
    documents = opened(task(corpus), home(corpus) / TOKENS / "task", labelled.rows)
    trainings = HeldOut(classifier, PLACE.hardware, train.texts, parts)
    network_NC = trainings.of_network(start(corpus, begins), documents)
    return Judged(f"{len(parts)} parts", train.labels, network_NC, linear)


if __name__ == "__main__":
    run_stage(main, trains=True)
