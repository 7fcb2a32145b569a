"""Row of the low-shot study: a student of the blend (`python -m benchmarks.low_shot.student imdb 100 domain 1`).

As the stage self_train does it: what network and linear models say together of unlabelled documents teaches the network
anew. `student` is that alone, `taught` the two of them as one.
"""

import numpy as np

from benchmarks.low_shot.documents import given, scored
from benchmarks.low_shot.linear import learners
from benchmarks.low_shot.network import classifier, settings
from benchmarks.low_shot.paths import TOKENS, home, params, row, start, task
from benchmarks.low_shot.unlabelled import blend_config, unlabelled
from benchmarks.studies.labelled import Labelled
from benchmarks.studies.networks import PLACE, opened, pretrained, trained
from benchmarks.studies.recipes import recipe
from benchmarks.studies.rows import Said, read_row, read_said, timed, write_row
from pipeline.base.process import run_stage
from pipeline.classifier.student import taught
from pipeline.config.read import parse
from pipeline.config.self_train import SelfTrainConfig
from pipeline.inference.predictor import Predictor
from pipeline.linear.artifact import Blend
from pipeline.linear.blend import Weights
from pipeline.shards.read import TokenCorpus


def main(corpus: str, labels: str, begins: str, seed: str) -> None:
    """Train on what the finished row of the blend says of the corpus's text, keep what the student says of the test."""
    labelled, test = given(corpus, labels, seed), scored(corpus)
    config = parse(SelfTrainConfig, recipe("self_train", params()["self_train"]), "self_train")
    some = unlabelled(corpus, labelled, config.documents)

    def student() -> np.ndarray:
        said_NC = teacher(labelled, corpus, labels, begins, seed).predict_proba(some.texts)
        known = opened(task(corpus), home(corpus) / TOKENS / "task", labelled.rows)
        documents = taught(known, TokenCorpus(home(corpus) / TOKENS / "domain/train"), some.rows, said_NC)
        again = settings(corpus, labels, begins, int(seed)) | {"epochs": config.epochs}
        title = f"low_shot student-{corpus}-{labels}-{seed}"
        return trained(pretrained(start(corpus, begins)), documents, again, title).predict_proba(test.texts)

    alone = timed(student)
    said_NC = read_said(row("blend", corpus, labels, seed))["blend"]
    both = Said(judged(corpus, labels, seed).with_student(alone.test_NC, said_NC, False), alone.seconds)
    about = {"corpus": corpus, "labels": labels, "start": begins, "seed": int(seed), "train": len(labelled.train)}
    about["unlabelled"] = len(some.texts)
    write_row(row("student", corpus, labels, seed), about, test.labels, {"student": alone, "taught": both})


def teacher(labelled: Labelled, corpus: str, labels: str, begins: str, seed: str) -> Predictor:
    """The network and the linear models of the blend's row, which keeps no more than their weights, trained again."""
    network = classifier(labelled.rows, corpus, labels, begins, int(seed))
    weights = judged(corpus, labels, seed)
    trains, given_by = learners(corpus, labelled), labelled.train
    some = unlabelled(corpus, labelled, blend_config().documents).texts
    (guess,) = trains.guesses(some, [network.predict_proba(some)])
    linear = trains.fit(tuple(weights.linear), given_by.texts, given_by.labels, guess=guess)
    members = [member for member, _ in network.members]
    blend = Blend(labelled.classes, tuple(network.directions), weights, linear)
    return Predictor(members, blend, device=PLACE.device, precision="auto")


def judged(corpus: str, labels: str, seed: str) -> Weights:
    """The weights of the blend's row."""
    return Weights(**read_row(row("blend", corpus, labels, seed))["blend"]["weights"])


if __name__ == "__main__":
    run_stage(main, trains=True)
