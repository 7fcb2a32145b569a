"""What a family of models is, as far as weights are concerned: its config, its tensors, its special tokens."""

import re
from collections.abc import Callable, Container, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from pipeline.interop.huggingface.config import Config
from pipeline.interop.huggingface.parts import Part
from pipeline.models.settings import TransformerSettings


@dataclass(frozen=True)
class Family:
    """One `model_type` of `transformers`."""

    name: str
    # The class of its language models.
    architecture: str
    # Of the names of all tensors but the head's.
    prefix: str
    # The embeddings, and the output matrix of a model that has one of its own.
    embeddings: str
    head: str
    # (config, names of the tensors there are, whether the embeddings are the output matrix) -> the network.
    settings: Callable[[Config, Container[str], bool], TransformerSettings]
    # The other way round, as far as such a config can say it.
    config: Callable[[TransformerSettings], dict[str, Any]]
    parts: Callable[[TransformerSettings], Iterator[Part]]
    # Tensors that are left behind: buffers, copies, heads for other tasks.
    ignored: re.Pattern[str]
    # Our special token -> names of the one that means the same, the first of which there is counts.
    specials: Mapping[str, tuple[str, ...]]
