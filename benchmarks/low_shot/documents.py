"""What every system of a row is given, and what it is scored on."""

import numpy as np

from benchmarks.low_shot.paths import DOMAIN, home, params, task
from benchmarks.studies.labelled import Labelled, Part, sample
from benchmarks.studies.recipes import recipe
from pipeline.classifier.student import Unlabelled
from pipeline.config.blend import BlendConfig
from pipeline.config.read import parse


def given(corpus: str, labels: str, seed: str) -> Labelled:
    """The labelled documents, drawn by seed."""
    return Labelled.of(task(corpus), labels, int(seed))


def blend_config() -> BlendConfig:
    """How the study's blends are weighed."""
    return parse(BlendConfig, recipe("blend", params()["blend"]), "blend")


def unlabelled(corpus: str, labelled: Labelled, most: int) -> Unlabelled:
    """Some of the corpus's text, none of it of the labelled documents."""
    return Unlabelled.among(home(corpus) / DOMAIN / "train.parquet", labelled.train.texts, most)


def scored_rows(documents: int) -> np.ndarray:
    """Rows of the test part that all systems and seeds are scored on."""
    said = params()["test"]
    return sample(documents, said["documents"], said["seed"])


def scored(corpus: str) -> Part:
    """The documents in these rows."""
    test = Part.read(task(corpus), "test")
    return test.some(scored_rows(len(test)))
