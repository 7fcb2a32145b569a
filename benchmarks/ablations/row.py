"""Row of the ablations: `python -m benchmarks.ablations.row models|classifiers|backward CORPUS NAME SEED`.

Scored on the validation part, which no classifier of the study has seen; the test part stays closed.
"""

import numpy as np

from benchmarks.ablations.paths import (
    BACKWARD,
    BEST_CLASSIFIER,
    BEST_MODEL,
    BOTH,
    FORWARD,
    FROM_SCRATCH,
    changed,
    model,
    params,
    row,
)
from benchmarks.low_shot import paths as shared
from benchmarks.studies.labelled import Labelled
from benchmarks.studies.networks import fresh, opened, pretrained, trained, vocabulary_of
from benchmarks.studies.rows import Said, read_said, timed, write_row
from pipeline.base.process import run_stage


def main(table: str, corpus: str, name: str, seed: str) -> None:
    """Train a classifier on the labels drawn, predict the validation part, keep both."""
    labels = str(params()["labels"][corpus])
    given = Labelled.of(shared.task(corpus), labels, int(seed))
    language_model = name if table in ("models", BACKWARD) else BEST_MODEL
    recipe = name if table == "classifiers" else BEST_CLASSIFIER

    def classified() -> np.ndarray:
        return classify(given, corpus, language_model, recipe, int(seed))

    systems = {name: timed(classified)}
    if table == BACKWARD:
        forward = read_said(row("models", corpus, BEST_MODEL, seed))[BEST_MODEL]
        systems[BOTH] = Said((forward + systems[name].test_NC) / 2, systems[name].seconds)
    about = {"corpus": corpus, "labels": labels, "seed": int(seed), "table": table, "train": len(given.train)}
    write_row(row(table, corpus, name, seed), about, given.validation.labels, systems)


def classify(given: Labelled, corpus: str, language_model: str, recipe: str, seed: int) -> np.ndarray:
    """Probabilities (N, C) of the validation part by a classifier on a language model."""
    tokens = shared.home(corpus) / shared.TOKENS / "task"
    direction = BACKWARD if language_model == BACKWARD else FORWARD
    if recipe == FROM_SCRATCH:
        vocabulary = vocabulary_of(tokens / "train")
        start = fresh(params()["model"], vocabulary, seed), shared.TOKENIZER / "tokenizer.json"
    else:
        start = pretrained(model(corpus, language_model) / "models/domain" / direction)
    task = opened(shared.task(corpus), tokens, given.rows, reverse=direction == BACKWARD)
    config = changed("classifiers", "classifier", recipe) | {"seed": seed}
    title = f"ablations {corpus}-{language_model}-{recipe}-{seed}"
    return trained(start, task, config, title, direction).predict_proba(given.validation.texts)


if __name__ == "__main__":
    run_stage(main, trains=True)
