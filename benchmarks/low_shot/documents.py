"""What every system of a row is given, and what it is scored on."""

import numpy as np

from benchmarks.low_shot.paths import params, task
from benchmarks.studies.labelled import Labelled, Part, sample


def given(corpus: str, labels: str, seed: str) -> Labelled:
    """The labelled documents, drawn by seed."""
    return Labelled.of(task(corpus), labels, int(seed))


def scored_rows(documents: int) -> np.ndarray:
    """Rows of the test part that all systems and seeds are scored on."""
    said = params()["test"]
    return sample(documents, said["documents"], said["seed"])


def scored(corpus: str) -> Part:
    """The documents in these rows."""
    test = Part.read(task(corpus), "test")
    return test.some(scored_rows(len(test)))
