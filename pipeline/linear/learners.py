"""The linear models by name, as stages and benchmarks train them: what the pipeline is compared and blended with."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

import numpy as np
from threadpoolctl import threadpool_limits

from pipeline.base.progress import track
from pipeline.linear import em_naive_bayes, lsa_lr, nb_svm, tfidf_lr
from pipeline.linear.classifier import NgramClassifier
from pipeline.linear.em_naive_bayes import FEW, MANY, STEPS, Guess, Unlabelled
from pipeline.linear.features import tf_idf
from pipeline.linear.space import Space, load_space
from pipeline.text.prepared import read_texts

LSA = "lsa_lr"


@dataclass(frozen=True)
class Texts:
    """Those of a prepared part, which is read anew each time that they are gone through: memory need not hold them."""

    part: Path

    def __iter__(self) -> Iterator[str]:
        return read_texts(self.part)


@dataclass(frozen=True)
class Learners:
    """Trains the linear models of one task."""

    classes: int
    # Words are separated by spaces; else the features are characters.
    spaced: bool
    # Of the unlabelled text, where there is enough of it.
    space: Space | None = None
    # That text itself, for the models that learn from it (one label a document).
    unlabelled: Unlabelled | None = None

    @classmethod
    def open(cls, task: Mapping[str, Any], space: Path, domain: Path) -> Self:
        """All that can be trained for a task (its labels.json) with a space and the domain's text (train.parquet)."""
        found = load_space(space, len(task["labels"]))
        reads = found is not None and not task["multilabel"]
        unlabelled = Unlabelled.read(Texts(domain), found) if reads and found else None
        return cls(len(task["labels"]), bool(task["spaced"]), found, unlabelled)

    @property
    def names(self) -> tuple[str, ...]:
        """Those that can be trained here."""
        return ("tfidf_lr", "nb_svm", *([LSA] if self.space else []), *(STEPS if self.unlabelled else []))

    @property
    def groups(self) -> tuple[tuple[str, ...], ...]:
        """The same, those together of which one begins with the other."""
        of_text = tuple(name for name in self.names if name == LSA or name in STEPS)
        return tuple(group for group in (("tfidf_lr",), ("nb_svm",), of_text) if group)

    def guesses(self, texts: Sequence[str], said: Sequence[np.ndarray]) -> list[Guess]:
        """What each of several teachers says of the same unlabelled texts: probabilities (M, C) each."""
        assert self.space is not None
        features_MV = tf_idf(self.space.vocabulary.counts(texts), self.space.idf_V)
        return [Guess(features_MV, one_MC) for one_MC in said]

    def fit(
        self,
        names: Sequence[str],
        texts: list[str],
        labels: np.ndarray,
        unseen: Sequence[str] = (),
        guess: Guess | None = None,
    ) -> dict[str, NgramClassifier]:
        """Train some of them.

        Args:
            labels: (N,) class indices, or (N, C) booleans where a document may carry several.
            unseen: texts that they are to be judged by, which are not learnt from though unlabelled text has them.
            guess: the network's, from which naive Bayes with many steps of EM begins; None: it begins, as that with few
                does, from what the regression on latent directions says.
        """
        found: dict[str, NgramClassifier] = {}
        with threadpool_limits(1):  # equal bits on any number of processors; sparse products use one anyway
            for name, kind in (("tfidf_lr", tfidf_lr), ("nb_svm", nb_svm)):
                if name in names:
                    found[name] = kind.fit(texts, labels, classes=self.classes, spaced=self.spaced)
            if steps := {name: STEPS[name] for name in names if name in STEPS}:
                assert self.unlabelled is not None
                found[LSA] = self._lsa(texts, labels)
                others = self.unlabelled.without(unseen)
                by_lsa = Guess(others.features_NV, found[LSA].model.probabilities(others.features_NV, False))
                begins = {FEW: by_lsa, MANY: guess or by_lsa}
                for name in steps:
                    found[name] = em_naive_bayes.fit(
                        texts, labels, classes=self.classes, unlabelled=others, guess=begins[name], steps=steps[name]
                    )
            elif LSA in names:
                found[LSA] = self._lsa(texts, labels)
        return {name: found[name] for name in names}

    def fit_all(
        self,
        groups: Sequence[Sequence[str]],
        texts: list[str],
        labels: np.ndarray,
        guess: Guess | None,
        unseen: Sequence[str] = (),
    ) -> dict[str, NgramClassifier]:
        """Train them group by group, with signs of progress; arguments as in `fit`."""
        found: dict[str, NgramClassifier] = {}
        for names in track(groups, "linear models", len(groups)):
            found |= self.fit(names, texts, labels, unseen, guess)
        return found

    def _lsa(self, texts: list[str], labels: np.ndarray) -> NgramClassifier:
        assert self.space is not None
        return lsa_lr.fit(texts, labels, classes=self.classes, space=self.space)
