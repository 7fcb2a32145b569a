"""Where the low-shot study keeps its parts; everything under WORK is made by its stages."""

from pathlib import Path
from typing import Any

from pipeline.config.read import read_yaml

HOME = Path("benchmarks/low_shot")
WORK = HOME / "made"
TASKS, GENERIC, ROWS = WORK / "tasks", WORK / "generic", WORK / "rows"
HELD_OUT = TASKS / "held_out"
TOKENIZER = GENERIC / "models/tokenizer"
TOKENS, DOMAIN = "data/tokens", "data/prepared/domain"
SCRATCH = "scratch"  # the start without a language model
DOMAIN_ALL = "domain_all"  # the start with the domain's language model for all labels
FOR_ALL = "for_all"  # the folder, in a corpus's own, in which that is made


def params() -> dict[str, Any]:
    """The study's choices."""
    return read_yaml(HOME / "params.yaml")


def datasets(corpus: str) -> dict[str, str]:
    """The configs of a corpus's labelled documents and of its unlabelled text, in configs/dataset/."""
    return {"task": f"local_{corpus}", "domain": f"local_{corpus}_domain"}


def task(corpus: str) -> Path:
    """A corpus's prepared task."""
    return TASKS / corpus


def home(corpus: str) -> Path:
    """The folder in which a corpus's stages run."""
    return WORK / "corpora" / corpus


def start(corpus: str, name: str) -> Path:
    """What a corpus's classifiers start from: a language model's folder, or one that holds no more than a tokenizer."""
    return home(corpus) / "starts" / name


def row(system: str, corpus: str, labels: str, seed: str) -> Path:
    """The folder of a row."""
    return ROWS / f"{system}-{corpus}-{labels}-{seed}"
