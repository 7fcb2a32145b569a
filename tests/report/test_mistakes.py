"""The mistakes shown are the most confident ones, and systems are compared document by document."""

import numpy as np

from pipeline.evaluation.decisions import carried
from pipeline.report.collect import TestPart as Part
from pipeline.report.mistakes import CHARACTERS, SHOWN, confident_mistakes, disagreements, shortened

NAMES = ["a", "b", "c"]


def test_the_most_confident_mistakes_come_first_and_right_answers_never() -> None:
    probabilities_NC = np.array([[0.9, 0.1, 0], [0.2, 0.7, 0.1], [0.05, 0, 0.95], [0.5, 0.3, 0.2]])
    part = Part(["one", "two", "three", "four"], carried([0, 0, 1, 1], 3, False), {"pipeline": probabilities_NC})
    found = confident_mistakes(part, NAMES, multilabel=False)
    assert [(one.text, one.true, one.predicted, one.confidence, one.probability) for one in found] == [
        ("three", "b", "c", 0.95, 0.0),
        ("two", "a", "b", 0.7, 0.2),
        ("four", "b", "a", 0.5, 0.3),
    ]


def test_with_several_labels_a_missed_one_counts_like_a_wrong_one() -> None:
    probabilities_NC = np.array([[0.9, 0.8, 0.1], [0.1, 0.02, 0.1]])
    truth_NC = np.array([[True, False, False], [False, True, False]])
    found = confident_mistakes(Part(["one", "two"], truth_NC, {"pipeline": probabilities_NC}), NAMES, multilabel=True)
    assert [(one.text, one.true, one.predicted, round(one.confidence, 6)) for one in found] == [
        ("two", "b", "(none)", 0.98),
        ("one", "a", "a, b", 0.8),
    ]


def test_at_most_some_are_shown_and_long_texts_are_shortened() -> None:
    probabilities_NC = np.tile([0.6, 0.4, 0.0], (100, 1))
    part = Part(["x" * 5000] * 100, carried([1] * 100, 3, False), {"pipeline": probabilities_NC})
    found = confident_mistakes(part, NAMES, multilabel=False)
    assert len(found) == SHOWN
    assert len(found[0].text) <= CHARACTERS + 2
    assert shortened("short") == "short"


def test_disagreements_add_up_to_all_documents() -> None:
    truth_NC = carried([0, 0, 1, 1, 2], 3, False)
    systems = {"nb_svm": np.eye(3)[[0, 1, 1, 0, 0]], "pipeline": np.eye(3)[[0, 0, 0, 1, 0]]}
    (one,) = disagreements(Part([""] * 5, truth_NC, systems), multilabel=False)
    assert (one.system, one.both, one.pipeline_alone, one.other_alone, one.neither) == ("nb_svm", 1, 2, 1, 1)
