"""Makers of batches."""

import argparse
import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch

from benchmarks.speed.contestants.nanogpt import B, T, random_batch
from benchmarks.speed.turns import Turns
from pipeline.batches.buckets import BucketPlan
from pipeline.batches.pad import pad
from pipeline.batches.seeds import sequence_seeds
from pipeline.batches.windows import WindowPlan, read_windows
from pipeline.classifier.reading import Reading
from pipeline.shards.read import TokenCorpus
from pipeline.text.tokenizer import encode, load

STEPS = 200


def works(options: argparse.Namespace) -> dict[str, Callable[[], float]]:
    """What can be measured, by name; each returns its amount."""
    corpus = TokenCorpus(options.tokens)
    plan = WindowPlan(corpus.tokens, T, B * T, seed=1)
    plain = np.memmap(options.plain, dtype=np.uint16, mode="r")
    documents = encode(load(options.tokenizer), json.loads(options.texts.read_text(encoding="utf-8")))
    reading = Reading(chunk_tokens=256, overlap=0, max_tokens=512)

    def windows() -> float:
        for step in range(STEPS):
            rows, starts = plan.share(step, 0, 1)
            torch.from_numpy(read_windows(corpus, starts, T))
            sequence_seeds(1, step, rows)
        return STEPS * B * T

    def get_batch() -> float:
        for _ in range(STEPS):
            random_batch(plain)
        return STEPS * B * T

    def buckets() -> float:
        order = BucketPlan(np.array([min(512, len(one)) for one in documents]), B, 1, seed=1)
        for step in range(order.steps):
            reading.batch([documents[number] for number in order.share(step, 0, 1)])
        return len(documents)

    def in_order() -> float:
        for first in range(0, len(documents), B):
            pad([one[:512] for one in documents[first : first + B]])
        return len(documents)

    return {"windows": windows, "get_batch": get_batch, "buckets": buckets, "plain": in_order}


def main() -> None:
    """Take turns."""
    parser = argparse.ArgumentParser()
    for name in ("--tokens", "--plain", "--tokenizer", "--texts"):
        parser.add_argument(name, type=Path, required=True)
    parser.add_argument("--what", required=True)
    options = parser.parse_args()
    turns = Turns("numpy", "torch")
    turns.serve(works(options)[options.what])


if __name__ == "__main__":
    main()
