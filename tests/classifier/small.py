"""Small classifiers with weights everywhere, so that a wrong number anywhere shows in the scores."""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import torch
from torch import nn

from pipeline.classifier.artifact import save_classifier
from pipeline.classifier.network import ClassifierNetwork, classifier_network
from pipeline.config.classifier import ClassifierConfig
from pipeline.config.tokenizer import TokenizerConfig
from pipeline.models.build import build
from pipeline.models.settings import TransformerSettings
from pipeline.text import tokenizer as bpe

VOCABULARY = 60
LABELS = ("harbour", "kitchen", "도시")
SETTINGS = TransformerSettings(layers=2, width=32, heads=2, feedforward=64, max_positions=32)
CONFIG = ClassifierConfig(
    epochs=1, learning_rate=0.01, head_width=16, chunk_tokens=8, overlap=2, gradient_chunks=2, max_tokens=64
)


def network(
    settings: TransformerSettings = SETTINGS, *, vocabulary: int = VOCABULARY, seed: int = 2, **changed: object
) -> ClassifierNetwork:
    """A classifier with three classes; its last layer, which starts at zero, is filled too."""
    backbone = build(settings, vocabulary, seed=1)
    made = classifier_network(backbone, replace(CONFIG, **changed), classes=3)
    generator = torch.Generator().manual_seed(seed)
    nn.init.normal_(made.head.output.weight, std=0.5, generator=generator)
    nn.init.normal_(made.head.output.bias, std=0.5, generator=generator)
    return made


def documents(*lengths: int, seed: int = 3) -> list[np.ndarray]:
    """Random tokens between <bos> (1) and <eos> (2)."""
    random = np.random.Generator(np.random.PCG64(seed))
    made = [random.integers(6, VOCABULARY, size=length).astype(np.uint16) for length in lengths]
    for tokens in made:
        tokens[0], tokens[-1] = 1, 2
    return made


TEXTS = [
    "The ship lay at the quay, and the captain slept.",
    "서울의 봄은 짧고, 우리는 강가를 걸었다.",
    "我们在市场买了苹果和新鲜的面包。",
    "Butter, flour and salt; knead the dough for ten minutes.",
    "",
]


def saved(
    folder: Path,
    *,
    seed: int = 2,
    direction: str = "forward",
    multilabel: bool = False,
    text: Sequence[str] = ("text",),
    max_characters: int | None = None,
    **changed: object,
) -> Path:
    """A small classifier's folder with a tokenizer of its own, trained on `TEXTS`; returns the folder."""
    folder.parent.mkdir(parents=True, exist_ok=True)
    tokenizer = folder.parent / f"{folder.name}-tokenizer.json"
    bpe.save(bpe.train(TEXTS * 2, TokenizerConfig(vocabulary=400)), tokenizer)
    made = network(vocabulary=bpe.load(tokenizer).get_vocab_size(), seed=seed, **changed)
    about = {"labels": LABELS, "multilabel": multilabel, "direction": direction, "text": text}
    save_classifier(folder, made, **about, tokenizer=tokenizer, max_characters=max_characters)
    tokenizer.unlink()
    return folder
