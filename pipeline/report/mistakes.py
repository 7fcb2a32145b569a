"""The pipeline's most confident mistakes, and where it and the other systems disagree."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from pipeline.evaluation.decisions import decided
from pipeline.evaluation.verdict import NAMES
from pipeline.report.collect import TestPart

SHOWN = 20
CHARACTERS = 300  # of a document


@dataclass(frozen=True)
class Mistake:
    """One document that the pipeline got wrong."""

    text: str  # shortened
    true: str
    predicted: str
    confidence: float  # probability of what was decided wrongly
    probability: float  # of the true label, or with several labels a document of the right decision


@dataclass(frozen=True)
class Disagreement:
    """How often one system is right where the other is wrong, in documents."""

    system: str
    both: int
    pipeline_alone: int
    other_alone: int
    neither: int


def confident_mistakes(test: TestPart, names: Sequence[str], multilabel: bool) -> list[Mistake]:
    """The mistakes of highest confidence, most confident first; equals in the order of the documents."""
    probabilities_NC = test.systems["pipeline"]
    decided_NC = decided(probabilities_NC, multilabel)
    wrong_NC = decided_NC != test.carried_NC
    # With one label a document, a mistake shows in two columns: the confidence is that of the label decided.
    confidence_NC = np.where(decided_NC, probabilities_NC, 1 - probabilities_NC if multilabel else 0)
    confidence_N = np.where(wrong_NC, confidence_NC, -1).max(axis=1)
    order = np.argsort(-confidence_N, kind="stable")[: min(SHOWN, int(wrong_NC.any(axis=1).sum()))]
    mistakes = []
    for row in order:
        confidence = float(confidence_N[row])
        right = 1 - confidence if multilabel else float(probabilities_NC[row, test.carried_NC[row]][0])
        true, predicted = (_named(one_NC[row], names) for one_NC in (test.carried_NC, decided_NC))
        mistakes.append(Mistake(shortened(test.texts[row]), true, predicted, confidence, right))
    return mistakes


def disagreements(test: TestPart, multilabel: bool) -> list[Disagreement]:
    """The pipeline against each other system, document by document."""
    right = {
        name: (decided(test.systems[name], multilabel) == test.carried_NC).all(axis=1)
        for name in NAMES
        if name in test.systems
    }
    ours = right["pipeline"]
    return [
        Disagreement(
            name,
            both=int((ours & theirs).sum()),
            pipeline_alone=int((ours & ~theirs).sum()),
            other_alone=int((~ours & theirs).sum()),
            neither=int((~ours & ~theirs).sum()),
        )
        for name, theirs in right.items()
        if name != "pipeline"
    ]


def shortened(text: str) -> str:
    """The beginning of a text and a mark where it goes on."""
    return text if len(text) <= CHARACTERS else text[:CHARACTERS].rstrip() + " …"


def _named(row_C: np.ndarray, names: Sequence[str]) -> str:
    return ", ".join(name for name, held in zip(names, row_C, strict=True) if held) or "(none)"
