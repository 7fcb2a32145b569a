"""Classifiers of a study, trained by the library as the stages finetune_classifier and scratch train them."""

from collections.abc import Mapping
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch

from benchmarks.studies.recipes import CONFIGS
from pipeline.base.files import digest
from pipeline.classifier.artifact import LoadedClassifier
from pipeline.classifier.data import Task
from pipeline.classifier.network import classifier_network
from pipeline.classifier.train import ClassifierTraining
from pipeline.config.classifier import ClassifierConfig
from pipeline.config.hardware import HardwareConfig
from pipeline.config.read import parse, read_yaml
from pipeline.inference.predictor import Predictor
from pipeline.interop.folders import load_language_model
from pipeline.models.build import Network, build
from pipeline.models.settings import settings_schema
from pipeline.shards.read import TokenCorpus
from pipeline.training.place import Place
from pipeline.training.resume import ResumeFolder, weights_digest

NONE = np.zeros(0, dtype=np.int64)
PLACE = Place(HardwareConfig(), "fp32")


def fresh(model: str, vocabulary: int, seed: int) -> Network:
    """A network of configs/model/ without any training."""
    settings = parse(settings_schema, read_yaml(CONFIGS / f"model/{model}.yaml"), model)
    return build(settings, vocabulary, seed)


def opened(prepared: Path, tokens: Path, rows: np.ndarray, *, reverse: bool = False) -> Task:
    """A tokenised task of which only some rows of the training part are labelled, and nothing else."""
    task = Task.open(prepared, tokens, reverse=reverse)
    return replace(task, train=task.train.subset(rows), validation=task.train.subset(NONE))


def pretrained(folder: Path) -> tuple[Network, Path]:
    """A language model's network and its tokenizer."""
    start = load_language_model(folder)
    return start.model, start.tokenizer


def vocabulary_of(tokens: Path) -> int:
    """Entries of the tokenizer that made these shards."""
    return TokenCorpus(tokens).vocabulary


def trained(
    start: tuple[Network, Path], task: Task, recipe: Mapping[str, Any], title: str, direction: str = "forward"
) -> Predictor:
    """Fine-tune a network, with its tokenizer, on a task; stopped and started anew, it goes on.

    recipe: the values of a config of the classifier.
    title: names the state in which an interrupted training is kept.
    """
    torch.set_num_threads(PLACE.threads)
    config = parse(ClassifierConfig, dict(recipe), title)
    network = classifier_network(start[0], config, classes=len(task.labels))
    targets, lengths = task.train.targets.tolist(), task.train.lengths.tolist()
    depends = [repr(asdict(config)), weights_digest(network), task.tokenizer, digest([repr(targets), repr(lengths)])]
    training = ClassifierTraining(network, task.train, task.validation, config, PLACE.hardware, title)
    with ResumeFolder(title, [*depends, direction]) as resume:
        training.run(resume)
        resume.finish()
    loaded = LoadedClassifier(network, task.labels, task.multilabel, direction, start[1])
    return Predictor([loaded], device=PLACE.device)
