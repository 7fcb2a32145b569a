"""`configs/config.yaml`: which file each stage uses. The only place where alternatives are chosen."""

import re
from dataclasses import dataclass
from typing import Any, Literal

from pipeline.config.blend import BlendConfig
from pipeline.config.classifier import ClassifierConfig
from pipeline.config.dataset import DatasetConfig
from pipeline.config.hardware import HardwareConfig
from pipeline.config.language_model import FinetuneConfig, PretrainConfig
from pipeline.config.self_train import SelfTrainConfig
from pipeline.config.tokenizer import TokenizerConfig
from pipeline.models.settings import settings_schema

# Of what a choice names: it stands in file names and in the commands of stages, which a shell reads.
NAME = re.compile(r"[a-zA-Z0-9][\w.]*(-[\w.]+)*", re.ASCII)
Direction = Literal["forward", "backward"]


@dataclass(frozen=True)
class Choices:
    """The lines of `configs/config.yaml`."""

    generic: str
    domain: str
    task: str
    tokenizer: str
    model: str
    pretrain: str
    pretrained: str
    finetune_lm: str
    classifier: str
    blend: str
    self_train: str
    scratch: str
    hardware: str
    directions: tuple[Direction, ...]

    def __post_init__(self) -> None:
        if not 1 <= len(self.directions) <= 2 or len(set(self.directions)) != len(self.directions):
            raise ValueError("`directions` must be [forward], [backward] or [forward, backward]")


SCHEMAS: dict[str, Any] = {
    "generic": DatasetConfig,
    "domain": DatasetConfig,
    "task": DatasetConfig,
    "tokenizer": TokenizerConfig,
    "model": settings_schema,
    "pretrain": PretrainConfig,
    "finetune_lm": FinetuneConfig,
    "classifier": ClassifierConfig,
    "blend": BlendConfig,
    "self_train": SelfTrainConfig,
    "scratch": ClassifierConfig,
    "hardware": HardwareConfig,
}
