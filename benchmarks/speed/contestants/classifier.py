"""Ours: a classifier on documents of real lengths, one epoch a turn, as the stage finetune_classifier trains it."""

import argparse
import json
from pathlib import Path

import torch

from benchmarks.speed.contestants.language_model import GPT2
from benchmarks.speed.turns import Turns
from pipeline.classifier.data import InMemory, LabelledDocuments
from pipeline.classifier.network import classifier_network
from pipeline.classifier.train import ClassifierTraining
from pipeline.config.classifier import ClassifierConfig
from pipeline.config.hardware import HardwareConfig
from pipeline.models.build import build
from pipeline.text.tokenizer import encode, load

CHUNK = 256


def training_of(texts: list[str], tokenizer: Path, longest: int = 512) -> ClassifierTraining:
    """A GPT-2 of six layers with a new head, and the documents, `longest` tokens of each, with any labels."""
    config = ClassifierConfig(
        epochs=1, unfreeze="full", batch_documents=16, chunk_tokens=CHUNK, max_tokens=longest,
        gradient_chunks=-(-longest // CHUNK),
        pooling=("mean",), head_width=0, head_dropout=(0.0,), schedule="constant",
    )  # fmt: skip
    tokens = encode(load(tokenizer), texts)
    documents = LabelledDocuments(InMemory(tokens), torch.arange(len(texts)) % 2)
    network = classifier_network(build(GPT2, 8192, seed=1), config, classes=2)
    return ClassifierTraining(
        network, documents, documents.subset(torch.zeros(0).long().numpy()), config, HardwareConfig()
    )


def main() -> None:
    """Take turns."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--texts", type=Path, required=True)
    parser.add_argument("--tokenizer", type=Path, required=True)
    parser.add_argument("--longest", type=int, required=True)
    options = parser.parse_args()
    turns = Turns("torch", "pytorch-lightning")
    texts = json.loads(options.texts.read_text(encoding="utf-8"))
    training = training_of(texts, options.tokenizer, options.longest)
    while True:
        turns.wait()
        module = training.run(None)
        turns.report(len(texts), module.position.seconds)


if __name__ == "__main__":
    main()
