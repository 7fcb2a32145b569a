"""What `ulmfit tune` tries: the present settings of the classifier with one thing changed."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from pipeline.batches.buckets import BucketPlan
from pipeline.classifier.phases import phases
from pipeline.config.classifier import ClassifierConfig
from pipeline.config.read import parse, read_yaml
from pipeline.config.suitable import Reading, one_way


@dataclass(frozen=True)
class Candidate:
    """A name for people, and the keys of configs/classifier/*.yaml that differ from the present ones."""

    name: str
    changes: Mapping[str, Any]

    def config(self, present: ClassifierConfig) -> ClassifierConfig:
        """The present settings with its changes."""
        return replace(present, **self.changes)


PRESENT = Candidate("present", {})


def candidates(present: ClassifierConfig, network: Reading) -> list[Candidate]:
    """All there is to try around the present settings, first what tends to matter most; pairs come last.

    What a network cannot do, or does already, is left out.
    """
    twice = {"epochs": 2 * present.epochs}
    smoothing = 0.0 if present.label_smoothing else 0.1
    return [
        Candidate("learning rate x 3", _rates(present, 3)),
        Candidate("epochs x 2", twice),
        Candidate("learning rate / 3", _rates(present, 1 / 3)),
        *_causal(present, network),
        _pooling(present),
        _pool_layers(present),
        _unfreeze(present),
        *_discriminative(present),
        Candidate(f"label smoothing {smoothing:g}", {"label_smoothing": smoothing}),
        Candidate("learning rate / 3, epochs x 2", _rates(present, 1 / 3) | twice),
        Candidate("learning rate x 3, epochs x 2", _rates(present, 3) | twice),
    ]


def together(better: Sequence[Candidate]) -> Candidate:
    """All changes of several candidates, the best first: where two change the same key, the better one's counts."""
    changes: dict[str, Any] = {}
    for candidate in reversed(better):
        changes.update(candidate.changes)
    return Candidate("these together", changes)


def steps(config: ClassifierConfig, groups: Sequence[str], documents: int) -> int:
    """Optimiser steps of all phases: what a training costs, about."""
    lengths = np.ones(documents, dtype=np.int64)

    def of(epochs: float) -> int:
        return BucketPlan(lengths, config.batch_documents, epochs, config.seed).steps

    return sum(phase.steps for phase in phases(config, list(groups), of))


def written(present: Path, candidate: Candidate, about: str) -> str:
    """The text of a config that is the file `present` but for the candidate's changes; `about` is its first line."""
    before = read_yaml(present)
    old = parse(ClassifierConfig, before, str(present))
    lines = [f"# {about}"]
    for key, value in {**before, **candidate.changes}.items():
        was = f"  # was {_shown(getattr(old, key))}" if key in candidate.changes else ""
        lines.append(f"{key}: {_shown(value)}{was}")
    return "\n".join(lines) + "\n"


def _rates(present: ClassifierConfig, factor: float) -> dict[str, float]:
    """Rates a factor away, to two digits; Muon's own goes along where it is used."""
    keys = ("learning_rate", "muon_learning_rate") if present.optimizer == "muon" else ("learning_rate",)
    return {key: float(f"{getattr(present, key) * factor:.2g}") for key in keys}


def _causal(present: ClassifierConfig, network: Reading) -> list[Candidate]:
    """Another mask than the present one, for a network that has the choice."""
    if one_way(network):
        return []
    decoder = network.family == "decoder"
    if decoder if present.causal == "auto" else present.causal:
        return [Candidate("causal false", {"causal": False})]
    return [Candidate("causal auto", {"causal": "auto"})] if decoder else []


def _pooling(present: ClassifierConfig) -> Candidate:
    """With the last token, or without."""
    others = tuple(pool for pool in present.pooling if pool != "last")
    if others == present.pooling:
        return Candidate("pooling with last", {"pooling": ("last", *others)})
    return Candidate("pooling without last", {"pooling": others or ("max", "mean")})


def _pool_layers(present: ClassifierConfig) -> Candidate:
    """All layers under the head, or the last."""
    other = "all" if present.pool_layers == "last" else "last"
    return Candidate(f"pool layers {other}", {"pool_layers": other})


def _unfreeze(present: ClassifierConfig) -> Candidate:
    """Everything from the first step, or one layer group after the other."""
    other = "gradual" if present.unfreeze == "full" else "full"
    return Candidate(f"unfreeze {other}", {"unfreeze": other})


def _discriminative(present: ClassifierConfig) -> list[Candidate]:
    """One rate for all layer groups, or ULMFiT's factor between them; nothing to try where the head trains alone."""
    if present.unfreeze == "last":
        return []
    other = 1.0 if present.discriminative > 1 else 2.6
    return [Candidate(f"discriminative {other:g}", {"discriminative": other})]


def _shown(value: Any) -> str:
    """A value as YAML has it."""
    if isinstance(value, tuple | list):
        return f"[{', '.join(map(_shown, value))}]"
    return value if isinstance(value, str) else json.dumps(value)
