"""Row of the low-shot study: the network alone (`python -m benchmarks.low_shot.network imdb 100 domain 1`).

It starts from `scratch`, a fresh network; from the `generic` language model; or from that of the `domain`, which is the
same after fine-tuning on the corpus's unlabelled text (`domain_all`: with the recipe for thousands of labels).
"""

from typing import Any

import numpy as np

from benchmarks.low_shot.documents import given, scored
from benchmarks.low_shot.paths import DOMAIN_ALL, SCRATCH, TOKENS, home, params, row, task
from benchmarks.low_shot.paths import start as folder_of
from benchmarks.low_shot.unlabelled import blend_config, unlabelled
from benchmarks.studies.labelled import ALL
from benchmarks.studies.networks import fresh, opened, pretrained, trained, vocabulary_of
from benchmarks.studies.recipes import recipe
from benchmarks.studies.rows import timed, write_row
from pipeline.base.process import run_stage
from pipeline.inference.predictor import Predictor

BLENDED = ("domain", DOMAIN_ALL)  # the starts that linear models stand beside


def main(corpus: str, labels: str, start: str, seed: str) -> None:
    """Train on the labels drawn, predict the test sample, keep both."""
    labelled, test = given(corpus, labels, seed), scored(corpus)
    made: list[Predictor] = []

    def network() -> np.ndarray:
        made.append(classifier(labelled.rows, corpus, labels, start, int(seed)))
        return made[0].predict_proba(test.texts)

    said = timed(network)
    # With all labels the blend is judged by the validation part, as the pipeline's is.
    more = {"validation": made[0].predict_proba(labelled.validation.texts)} if labels == ALL else {}
    if start in BLENDED:  # what the blend's naive Bayes begins from
        some = unlabelled(corpus, labelled, blend_config().documents)
        more["unlabelled"] = made[0].predict_proba(some.texts)
    about = {"corpus": corpus, "labels": labels, "start": start, "seed": int(seed), "train": len(labelled.train)}
    write_row(row(start, corpus, labels, seed), about, test.labels, {start: said}, more)


def settings(corpus: str, labels: str, start: str, seed: int) -> dict[str, Any]:
    """The classifier's config."""
    said = params()
    epochs = said["epochs"][start][labels]
    epochs = epochs[corpus] if labels == ALL else epochs
    return recipe("classifier", said["classifier"][start]) | {"epochs": epochs, "seed": seed}


def classifier(rows: np.ndarray, corpus: str, labels: str, start: str, seed: int) -> Predictor:
    """The classifier of some rows of the training part."""
    tokens = home(corpus) / TOKENS / "task"
    documents = opened(task(corpus), tokens, rows)
    folder = folder_of(corpus, start)
    if start == SCRATCH:
        network = fresh(params()["model"], vocabulary_of(tokens / "train"), seed), folder / "tokenizer.json"
    else:
        network = pretrained(folder)
    return trained(
        network, documents, settings(corpus, labels, start, seed), f"low_shot {start}-{corpus}-{labels}-{seed}"
    )


if __name__ == "__main__":
    run_stage(main, trains=True)
