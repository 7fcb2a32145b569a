"""A classifier's folder: weights, how it reads, its labels and its tokenizer, which always travel together."""

import shutil
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pipeline.base.errors import UserError, suggest
from pipeline.base.files import whole_folder, write_json
from pipeline.classifier.heads import Head
from pipeline.classifier.network import ClassifierNetwork, pooled_features
from pipeline.classifier.reading import Reading
from pipeline.interop.folders import CONFIG, MODEL, TOKENIZER, empty_network, network_config, read_config
from pipeline.interop.tensors import load_tensors, save_tensors

CLASSIFIER = "classifier"  # `kind` in config.json


@dataclass(frozen=True)
class LoadedClassifier:
    """What a classifier's folder holds."""

    network: ClassifierNetwork
    # In the order of the network's scores.
    labels: tuple[str, ...]
    # Whether a document may carry several of them.
    multilabel: bool
    direction: str
    tokenizer: Path
    # Characters of a document that training kept at most; None: all.
    max_characters: int | None = None


def save_classifier(
    folder: Path | str,
    network: ClassifierNetwork,
    *,
    labels: Sequence[str],
    multilabel: bool,
    direction: str,
    tokenizer: Path,
    text: Sequence[str] = ("text",),
    max_characters: int | None = None,
) -> None:
    """Write a classifier and a copy of its tokenizer; `folder` is replaced as a whole or left as it was.

    text: the columns that made a document of its task, which `ulmfit predict` looks for in a table.
    max_characters: that were kept of a document, and are of one that is predicted; None: all.
    """
    reading, hidden = network.reading, network.head.hidden
    config = network_config(CLASSIFIER, network.backbone, direction=direction, tokenizer=tokenizer) | {
        "labels": list(labels),
        "multilabel": multilabel,
        "text": list(text),
        "max_characters": max_characters,
        "head": {
            "pooling": list(network.pooling),
            "pool_layers": network.pool_layers,
            "head_width": hidden.out_features if hidden is not None else 0,
        },
        "reading": {
            "chunk_tokens": reading.chunk_tokens,
            "overlap": reading.overlap,
            "max_tokens": reading.max_tokens,
            "causal": reading.causal,
            "carries": reading.carries,
        },
    }
    with whole_folder(folder) as partial:
        save_tensors(partial / MODEL, network)
        write_json(partial / CONFIG, config)
        shutil.copyfile(tokenizer, partial / TOKENIZER)


def load_classifier(folder: Path | str) -> LoadedClassifier:
    """Read what `save_classifier` wrote, on the CPU in eval mode.

    Dropout rates and BPT3C are for training alone and not kept. A damaged or mixed-up folder, or one of another kind,
    is a `UserError`.
    """
    folder = Path(folder)
    config = read_config(folder, CLASSIFIER)
    _require(folder, config, "labels", "multilabel", "head", "reading")
    head, reading = config["head"], config["reading"]
    _require(folder, head, "pooling", "head_width")
    pool_layers = head.get("pool_layers", "last")  # older folders know no other
    _require(folder, reading, "chunk_tokens", "overlap", "max_tokens", "causal")
    backbone = empty_network(folder, config).reader()
    features, rates = pooled_features(backbone, head["pooling"], pool_layers), (0.0, 0.0)
    network = ClassifierNetwork(
        backbone,
        Head(features, len(config["labels"]), width=head["head_width"], dropout=rates),
        Reading(
            reading["chunk_tokens"],
            reading["overlap"],
            reading["max_tokens"],
            causal=reading["causal"],
            carries=reading.get("carries", False),  # in older folders each chunk of an LSTM began anew
        ),
        tuple(head["pooling"]),
        pool_layers,
    )
    load_tensors(folder / MODEL, network)
    return LoadedClassifier(
        network.eval(),
        tuple(config["labels"]),
        config["multilabel"],
        config["direction"],
        folder / TOKENIZER,
        config.get("max_characters"),  # older folders do not say
    )


def _require(folder: Path, values: dict[str, Any], *keys: str) -> None:
    """Refuse a config.json, or a part of it, that lacks one of the keys."""
    for key in keys:
        if key not in values:
            raise UserError(f"{folder / CONFIG}: key `{key}` is missing; {suggest(key, values)}")
