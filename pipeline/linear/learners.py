"""The linear models by name, as stages and benchmarks train them: what the pipeline is compared and blended with."""

from dataclasses import dataclass

import numpy as np
from threadpoolctl import threadpool_limits

from pipeline.linear import lsa_lr, nb_svm, tfidf_lr
from pipeline.linear.classifier import NgramClassifier
from pipeline.linear.space import Space


@dataclass(frozen=True)
class Learners:
    """Trains the linear models of one task."""

    classes: int
    # Words are separated by spaces; else the features are characters.
    spaced: bool
    # Of the unlabelled text, where there is enough of it.
    space: Space | None = None

    @property
    def names(self) -> tuple[str, ...]:
        """Those that can be trained here."""
        return ("nb_svm", "tfidf_lr") if self.space is None else ("nb_svm", "tfidf_lr", "lsa_lr")

    def fit(self, name: str, texts: list[str], labels: np.ndarray) -> NgramClassifier:
        """Train one; labels (N,) class indices, or (N, C) booleans where a document may carry several."""
        with threadpool_limits(1):  # equal bits on any number of processors; sparse products use one anyway
            if name == "lsa_lr":
                assert self.space is not None
                return lsa_lr.fit(texts, labels, classes=self.classes, space=self.space)
            return {"nb_svm": nb_svm, "tfidf_lr": tfidf_lr}[name].fit(
                texts, labels, classes=self.classes, spaced=self.spaced
            )
