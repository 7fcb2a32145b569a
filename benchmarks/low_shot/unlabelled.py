"""The unlabelled documents that the network of a row labels for naive Bayes, and how the study's blends are weighed."""

from benchmarks.low_shot.paths import DOMAIN, home, params
from benchmarks.studies.labelled import Labelled
from benchmarks.studies.recipes import recipe
from pipeline.classifier.student import Unlabelled
from pipeline.config.blend import BlendConfig
from pipeline.config.read import parse


def blend_config() -> BlendConfig:
    """How the study's blends are weighed."""
    return parse(BlendConfig, recipe("blend", params()["blend"]), "blend")


def unlabelled(corpus: str, labelled: Labelled, most: int) -> Unlabelled:
    """Some of the corpus's text, none of it of the labelled documents."""
    return Unlabelled.among(home(corpus) / DOMAIN / "train.parquet", labelled.train.texts, most)
