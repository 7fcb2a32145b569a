"""Where the study of ULMFiT's parts keeps its own, and where it finds what the low-shot study has prepared."""

from pathlib import Path
from typing import Any

from benchmarks.studies.recipes import recipe
from pipeline.config.read import read_yaml

HOME = Path("benchmarks/ablations")
WORK = HOME / "made"
FORWARD, BACKWARD, BOTH = "forward", "backward", "both"
# The language model that classifiers are compared on, and the classifier that language models are compared by.
BEST_MODEL, BEST_CLASSIFIER = "full_discr_stlr", "freez_discr_stlr"
FROM_SCRATCH, NO_PRETRAINING, NONE = "from-scratch", "no-pretraining", "none"


def params() -> dict[str, Any]:
    """The study's choices."""
    return read_yaml(HOME / "params.yaml")


def changed(kind: str, folder: str, name: str) -> dict[str, Any]:
    """The config of a row: a recipe of configs/FOLDER with what the study changes, and then the row."""
    said = params()
    return recipe(folder, said[folder] | said["changes"][kind][name])


def generic(direction: str) -> Path:
    """The folder in which the generic language model of a direction is trained."""
    return WORK / "generic" / direction


def model(corpus: str, name: str) -> Path:
    """The folder in which a language model of a corpus's text is trained."""
    return WORK / "corpora" / corpus / name


def row(table: str, corpus: str, name: str, seed: str) -> Path:
    """The folder of a row."""
    return WORK / "rows" / f"{table}-{corpus}-{name}-{seed}"
