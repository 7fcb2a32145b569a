"""Training step of a language model: tokens per second and peak memory, ours and the peers' in alternation.

Decoder, vocabulary 8,192, 256 tokens, 6 layers of width 256, 4 heads, inner width 1,024, 16 windows a step. The first
row is the recipe (configs/model/decoder_6x256.yaml, Muon) as a stage runs it; the second takes the same steps without
Lightning, reading and logging; the third is ours with the peers' own network and optimiser. Each peer stands twice: as
people run it, and with our allocator's setting.

    python -m benchmarks.peers.environment
    python -m benchmarks.speed.training_step
    python -m benchmarks.speed.training_step --equal-loss 300     # the same weights and windows: the same loss
    python -m benchmarks.speed.training_step --profile            # where our step's time goes
"""

import argparse
import json
import sys

from benchmarks.common import machine, machine_line, print_table
from benchmarks.peers.environment import peer_python
from benchmarks.speed import corpus
from benchmarks.speed.pairs import Contestant, alternate, keep, options, ours, print_rows
from pipeline.base.process import ALLOCATOR, run_stage
from pipeline.training.environment import resolve_precision

NAME = "training_step"
PEERS = {"transformers": "transformers_trainer", "litgpt": "litgpt_loop"}
TAIL = 20  # steps whose mean loss is compared


def contestants(wanted: argparse.Namespace) -> list[Contestant]:
    """Ours first."""
    tokens = corpus.tokens(wanted.data, wanted.work)
    plain = corpus.plain_tokens(tokens, wanted.work)
    own = ("--tokens", str(tokens.folder), "--tokenizer", str(corpus.tokenizer(wanted.data, wanted.work)))
    steps = ("--steps", str(wanted.steps))
    found = [
        ours("ours, the recipe", "language_model", *own, *steps, allocator=True),
        ours("ours, the recipe, a bare loop", "language_model", *own, *steps, "--bare", allocator=True),
        ours("ours, their network, AdamW", "language_model", *own, *steps, "--network", "gpt2", allocator=True),
    ]
    if wanted.compile:
        found.append(ours("ours, the recipe, compiled", "language_model", *own, *steps, "--compile", allocator=True))
    words = ["--tokens", str(plain), "--precision", resolve_precision("auto", "cpu"), *steps]
    peers = {"nanoGPT": [sys.executable, "-m", "benchmarks.speed.contestants.nanogpt"]}
    for name in wanted.peers:
        peers[name] = [str(peer_python()), "-m", f"benchmarks.speed.contestants.{PEERS[name]}"]
    for name, command in peers.items():
        found.append(Contestant(name, [*command, *words]))
        found.append(Contestant(f"{name}, our allocator", [*command, *words], ALLOCATOR))
    return found


def equal_loss(wanted: argparse.Namespace) -> None:
    """Train ours and the plain loop from the same weights on the same windows, and compare the last steps."""
    tokens, share = corpus.tokens(wanted.data, wanted.work), wanted.work / "equal_loss"
    share.mkdir(parents=True, exist_ok=True)
    words = ("--loss-after", str(wanted.equal_loss), "--share", str(share))
    own = ("--tokens", str(tokens.folder), "--tokenizer", str(corpus.tokenizer(wanted.data, wanted.work)))
    plain, precision = corpus.plain_tokens(tokens, wanted.work), resolve_precision("auto", "cpu")
    peer = [sys.executable, "-m", "benchmarks.speed.contestants.nanogpt", "--tokens", plain, "--precision", precision]
    kept = {}
    for name, contestant in {
        "ours": ours("ours", "language_model", *own, "--network", "gpt2", *words, allocator=True),
        "peer": Contestant("nanoGPT", [*peer, *words], ALLOCATOR),
    }.items():
        contestant.once()
        kept[name] = json.loads((share / f"{name}.json").read_text())
    last = kept["ours"][-TAIL:]
    losses = {
        "ours": sum(loss for _, loss in last) / len(last),
        "peer": sum(kept["peer"][step - 1] for step, _ in last) / len(last),
    }
    found = {"machine": machine(), "steps": wanted.equal_loss, "ratio": losses["ours"] / losses["peer"], **losses}
    print_table(("loss, mean of the last steps", "nats"), losses.items())
    print(f"after {wanted.equal_loss} steps ours is {found['ratio']:.5f} of the plain loop's")
    print(machine_line(found["machine"]))
    keep(NAME, "equal_loss", found)


def main(*words: str) -> None:
    """Print one of the three tables."""
    parser = options(NAME, __doc__)
    parser.add_argument("--steps", type=int, default=5, help="a turn (default: %(default)s)")
    parser.add_argument("--peers", choices=PEERS, nargs="*", default=list(PEERS), help="beside nanoGPT's loop")
    parser.add_argument("--compile", action="store_true", help="a row with `compile: true` (needs a C++ compiler)")
    parser.add_argument("--equal-loss", type=int, metavar="STEPS", help="compare the loss instead")
    parser.add_argument("--profile", action="store_true", help="print the shares of our step's time instead")
    wanted = parser.parse_args(words)
    if wanted.profile:
        from benchmarks.speed.profile import language_model_shares

        language_model_shares(wanted)
    elif wanted.equal_loss:
        equal_loss(wanted)
    else:
        found = alternate(contestants(wanted), wanted.rounds)
        print_rows(found, "training step", "tokens/s")
        keep(NAME, "speed", found)


if __name__ == "__main__":
    run_stage(main)
