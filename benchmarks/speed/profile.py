"""Where a training step's time goes, from a trace of torch's profiler."""

import argparse
import time
from collections import Counter
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import torch
from torch.profiler import ProfilerActivity, profile

from benchmarks.common import machine, machine_line, print_table
from benchmarks.speed import corpus
from pipeline.base.process import keep_memory

STEPS = 5
# What a whole range of the trace is for, by a part of its name; else the operation's own name says.
RANGES = {"SumCrossEntropy": "loss", "Optimizer.step": "optimiser", "DataLoader": "data", "clip_grad": "clipping"}
OPERATIONS = {
    "scaled_dot_product": "attention",
    "aten::mm": "matrix products",
    "aten::addmm": "matrix products",
    "aten::bmm": "matrix products",
    "layer_norm": "norms",
    "rms_norm": "norms",
    "embedding": "embeddings",
}


def shares(events: Iterable[Any], seconds: float) -> dict[str, float]:
    """Share of `seconds` by what it went to; what no operation accounts for is Python, Lightning and waiting."""
    spent: Counter[str] = Counter()
    for event in events:
        if event.name.startswith(("aten::", "mkldnn")):
            spent[_purpose(event)] += event.self_cpu_time_total / 1e6
    found = {name: time_ / seconds for name, time_ in spent.most_common()}
    return {**found, "Python and the rest": max(0.0, 1 - sum(found.values()))}


def _purpose(event: Any) -> str:
    above = event
    while above is not None:
        for part, purpose in RANGES.items():
            if part in above.name:
                return purpose
        above = above.cpu_parent
    return next((purpose for part, purpose in OPERATIONS.items() if part in event.name), "element by element")


def print_shares(run: Callable[[], Any]) -> None:
    """Print what the time of `run` goes to, traced when it has run once before."""
    run()
    with profile(activities=[ProfilerActivity.CPU]) as trace:
        started = time.perf_counter()
        run()
        seconds = time.perf_counter() - started
    print_table(("part of our step", "share"), shares(trace.events(), seconds).items())
    print(machine_line(machine()))


def language_model_shares(wanted: argparse.Namespace) -> None:
    """Print the table for the recipe's training step under Lightning."""
    keep_memory()
    from benchmarks.speed.contestants.language_model import Training, options_of

    tokens = corpus.tokens(wanted.data, wanted.work)
    tokenizer = corpus.tokenizer(wanted.data, wanted.work)
    words = ["--tokens", str(tokens.folder), "--tokenizer", str(tokenizer)]
    training = Training(options_of().parse_args(words))

    def run() -> None:
        training.module.position.step = 0
        training.run(STEPS)

    torch.set_num_threads(training.place.threads)
    print_shares(run)


def classifier_shares(texts: list[str], tokenizer: Path, longest: int) -> None:
    """The same of a classifier's training on documents, one pass over them."""
    keep_memory()
    from benchmarks.speed.contestants.classifier import training_of

    training = training_of(texts, tokenizer, longest)
    print_shares(lambda: training.run(None))
