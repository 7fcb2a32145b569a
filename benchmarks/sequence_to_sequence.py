"""Sequence to sequence: the original Transformer learns to copy and to reverse, to exact match on unseen sequences.

The encoder-decoder of Vaswani et al. 2017 (norms after each sum, sinusoids, ReLU), shrunk to 2 layers of width 64, sees
random sequences of 1 to 12 of 10 symbols. Held-out ones are answered by greedy decoding and by beam search of width 4;
BLEU is sacrebleu's, each symbol a word. As sequences never repeat, there is no dropout. 40 s a task on a free core.

    python -m benchmarks.sequence_to_sequence
    python -m benchmarks.sequence_to_sequence --task reverse --steps 500 --seed 2
"""

import argparse
import time
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import sacrebleu
import torch

from benchmarks.common import machine, machine_line, print_table, write_json
from pipeline.language_model.beam import beam_search
from pipeline.language_model.generation import answer
from pipeline.models.build import build
from pipeline.models.encoder_decoder import EncoderDecoder
from pipeline.models.settings import TransformerSettings
from pipeline.objectives.cross_entropy import sum_cross_entropy
from pipeline.objectives.sequence_to_sequence import Sources, pairs_of, sources_of
from pipeline.text.specials import SPECIALS

SYMBOLS, LONGEST = 10, 12
TASKS: dict[str, Callable[[list[int]], list[int]]] = {"copy": list, "reverse": lambda source: source[::-1]}
SETTINGS = TransformerSettings(
    family="encoder_decoder",
    layers=2,
    width=64,
    heads=4,
    feedforward=256,
    max_positions=32,
    placement="post",
    positions="sinusoidal",
    activation="relu",
)
Sequences = list[list[int]]


def main(words: Sequence[str] | None = None) -> None:
    """Train, answer, print a table and keep its numbers."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--task", choices=TASKS, action="append", help="default: all")
    parser.add_argument("--steps", type=int, default=600, help="optimiser steps (default: %(default)s)")
    parser.add_argument("--batch", type=int, default=64, help="sequences a step (default: %(default)s)")
    parser.add_argument("--beams", type=int, default=4, help="of the beam search (default: %(default)s)")
    parser.add_argument("--held-out", type=int, default=500, help="sequences to answer (default: %(default)s)")
    parser.add_argument("--seed", type=int, default=1, help="of data and weights (default: %(default)s)")
    args = parser.parse_args(words)
    torch.set_num_threads(1)
    before = machine()
    tasks = {task: run(task, args) for task in args.task or TASKS}
    print_table(
        ("task", "seconds", "loss", "decoding", "exact match, %", "BLEU"),
        [
            (
                task,
                found["seconds"],
                found["loss"],
                decoding,
                f"{100 * score['exact_match']:.1f}",
                f"{score['bleu']:.1f}",
            )
            for task, found in tasks.items()
            for decoding, score in found["decodings"].items()
        ],
    )
    print(machine_line(before))
    options = {name: getattr(args, name) for name in ("steps", "batch", "beams", "held_out", "seed")}
    write_json("sequence_to_sequence", {"options": options, "machine": before, "tasks": tasks})


def run(task: str, args: argparse.Namespace) -> dict[str, Any]:
    """Train a network on one task and answer the held-out sequences."""
    held_out, started = sequences(args.held_out, args.seed, part=0), time.perf_counter()
    network, loss = train(TASKS[task], args.steps, args.batch, args.seed, held_out)
    seconds = round(time.perf_counter() - started, 1)
    decodings = evaluate(network, TASKS[task], held_out, args.beams)
    return {"seconds": seconds, "loss": round(loss, 5), "decodings": decodings}


def sequences(count: int, seed: int, part: int) -> Sequences:
    """Random sequences of random lengths; each `part` (0 held out, then one a step) has its own."""
    random = np.random.Generator(np.random.PCG64([seed, part]))
    lengths = random.integers(1, LONGEST + 1, count)
    return [random.integers(len(SPECIALS), len(SPECIALS) + SYMBOLS, length).tolist() for length in lengths]


def train(
    solve: Callable[[list[int]], list[int]], steps: int, batch: int, seed: int, unseen: Sequences
) -> tuple[EncoderDecoder, float]:
    """A network that has learnt to answer like `solve`, and its last loss in nats per token.

    Post-norm needs a rate that warms up (Xiong et al. 2020); here it then falls to zero. Of `unseen` only sequences of
    up to 3 symbols, which are few, may be trained on.
    """
    network = build(SETTINGS, len(SPECIALS) + SYMBOLS, seed)
    assert isinstance(network, EncoderDecoder)
    optimizer = torch.optim.AdamW(network.parameters(), lr=3e-3, betas=(0.9, 0.98), weight_decay=0.0)
    warm_up = max(1, steps // 10)
    schedule = torch.optim.lr_scheduler.LambdaLR(
        optimizer, lambda step: min((step + 1) / warm_up, (steps - step) / max(1, steps - warm_up))
    )
    forbidden = {tuple(source) for source in unseen if len(source) > 3}
    loss = torch.zeros(())
    for step in range(1, steps + 1):
        sources = [source for source in sequences(batch, seed, part=step) if tuple(source) not in forbidden]
        pairs = pairs_of(sources, [solve(source) for source in sources])
        hidden_BTD = network(pairs.inputs_BT, **pairs.sources._asdict())
        targets_N = pairs.targets_BT.flatten()
        loss = sum_cross_entropy(network.readout(hidden_BTD.flatten(0, 1)), network.output_matrix(), targets_N)
        loss = loss / (targets_N >= 0).sum()
        optimizer.zero_grad()
        loss.backward()
        torch.nn.utils.clip_grad_norm_(network.parameters(), 1.0)
        optimizer.step()
        schedule.step()
    return network, loss.item()


def evaluate(
    network: EncoderDecoder, solve: Callable[[list[int]], list[int]], held_out: Sequences, beams: int
) -> dict[str, dict[str, float]]:
    """Share of exact answers and BLEU, of greedy decoding and of beam search."""
    expected = [solve(source) for source in held_out]
    sources: Sources = sources_of(held_out)
    given = {**sources._asdict(), "tokens": LONGEST + 4}
    answers = {
        "greedy": answer(network, **given),
        f"beam {beams}": [best.tokens for best in beam_search(network, **given, beams=beams)],
    }
    return {
        decoding: {
            "exact_match": float(np.mean([one == wanted for one, wanted in zip(found, expected, strict=True)])),
            "bleu": bleu(found, expected),
        }
        for decoding, found in answers.items()
    }


def bleu(found: Sequences, expected: Sequences) -> float:
    """sacrebleu's corpus BLEU of token numbers as words, 0 to 100."""
    as_text = [[" ".join(map(str, tokens)) for tokens in side] for side in (found, expected)]
    return sacrebleu.corpus_bleu(as_text[0], [as_text[1]], tokenize="none", force=True).score


if __name__ == "__main__":
    main()
