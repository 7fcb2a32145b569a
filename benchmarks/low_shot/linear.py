"""Row of the low-shot study: the linear models (`python -m benchmarks.low_shot.linear imdb 100 1`).

The pipeline's own, and as a further baseline logistic regression on scikit-learn's LSA of all of the unlabelled text.
All choose their regularisation by cross-validation on the labels.
"""

from collections.abc import Iterator, Sequence

import numpy as np
from scipy.sparse import csr_matrix
from threadpoolctl import threadpool_limits

from benchmarks.low_shot import lsa
from benchmarks.low_shot.documents import given, scored, scored_rows
from benchmarks.low_shot.paths import DOMAIN, home, row
from benchmarks.studies.labelled import ALL, Labelled
from benchmarks.studies.rows import timed, write_row
from pipeline.base.process import run_stage
from pipeline.linear import tfidf_lr
from pipeline.linear.classifier import NgramClassifier
from pipeline.linear.learners import Learners
from pipeline.linear.model import LinearModel
from pipeline.linear.selection import fit_selected

LARGE_LSA = "large_lsa_lr"
STRENGTHS = (10.0, 1.0, 100.0, 1000.0)  # of dense features of length one, which bear more than n-grams do


def main(corpus: str, labels: str, seed: str) -> None:
    """Train on the labels drawn, predict the test sample, keep both."""
    labelled, test = given(corpus, labels, seed), scored(corpus)
    trains, systems, more = learners(corpus, labelled), {}, {}
    for name in trains.names:
        fitted: list[NgramClassifier] = []

        def ngrams(name: str = name, fitted: list[NgramClassifier] = fitted) -> np.ndarray:
            fitted.append(trains.fit([name], labelled.train.texts, labelled.train.labels)[name])
            return fitted[0].predict_proba(test.texts)

        systems[name] = timed(ngrams)
        if labels == ALL:
            more[f"validation {name}"] = fitted[0].predict_proba(labelled.validation.texts)
    systems[LARGE_LSA] = timed(lambda: large_lsa_lr(corpus, labelled))
    about = {"corpus": corpus, "labels": labels, "seed": int(seed), "train": len(labelled.train)}
    write_row(row("linear", corpus, labels, seed), about, test.labels, systems, more)


def learners(corpus: str, labelled: Labelled) -> Learners:
    """The pipeline's linear models, with the corpus's unlabelled text."""
    task = {"labels": labelled.classes, "spaced": labelled.spaced, "multilabel": False}
    return Learners.open(task, home(corpus) / lsa.SPACE, home(corpus) / DOMAIN / "train.parquet")


def large_lsa_lr(corpus: str, labelled: Labelled) -> np.ndarray:
    """Logistic regression on scikit-learn's LSA: probabilities (N, C) of the test sample."""
    found = lsa.features(corpus)

    def fit_each(some_NV: csr_matrix, labels_N: np.ndarray, strengths: Sequence[float]) -> Iterator[LinearModel]:
        for strength in strengths:
            yield tfidf_lr.fit_linear(some_NV, labels_N, len(labelled.classes), strength)

    train_ND = csr_matrix(found["train"][labelled.rows])
    with threadpool_limits(1):
        model, _ = fit_selected(fit_each, STRENGTHS, train_ND, lambda _: lambda some: some, labelled.train.labels, 1)
    return model.probabilities(csr_matrix(found["test"][scored_rows(len(found["test"]))]), False)


if __name__ == "__main__":
    run_stage(main)
