"""Training of a classifier on documents of real lengths (IMDb): documents per second, ours and `transformers`.

Six layers of width 256 on both sides, at most `--longest` tokens of a document, AdamW. The peer pads each batch to its
longest document, once in random order, as people run it, and once with documents of like length together. Also printed:
the share of padding in our batches.

    python -m benchmarks.speed.classifier_step --data $DATASETS_DIR
    python -m benchmarks.speed.classifier_step --profile          # where our time goes
"""

import numpy as np

from benchmarks.peers.environment import peer_python
from benchmarks.speed import corpus
from benchmarks.speed.pairs import Contestant, alternate, keep, options, ours, print_rows
from pipeline.base.files import write_json
from pipeline.base.process import ALLOCATOR, run_stage
from pipeline.batches.buckets import BucketPlan
from pipeline.text.tokenizer import encode, load
from pipeline.training.environment import resolve_precision

NAME = "classifier_step"
BATCH = 16


def main(*words: str) -> None:
    """Print the table and the padding."""
    parser = options(NAME, __doc__)
    parser.add_argument("--documents", type=int, default=256, help="a turn (default: %(default)s)")
    parser.add_argument("--longest", type=int, default=512, help="tokens read of a document (default: %(default)s)")
    parser.add_argument("--profile", action="store_true", help="print the shares of our time instead")
    wanted = parser.parse_args(words)
    tokenizer = corpus.tokenizer(wanted.data, wanted.work)
    if wanted.profile:
        from benchmarks.speed.profile import classifier_shares

        classifier_shares(corpus.reviews(wanted.data, wanted.documents), tokenizer, wanted.longest)
        return
    texts = wanted.work / "reviews.json"
    write_json(texts, corpus.reviews(wanted.data, wanted.documents))
    both = ["--texts", str(texts), "--tokenizer", str(tokenizer), "--longest", str(wanted.longest)]
    precision = resolve_precision("auto", "cpu")
    peer = [
        peer_python(),
        "-m",
        "benchmarks.speed.contestants.transformers_classifier",
        *both,
        "--precision",
        precision,
    ]
    found = alternate(
        [
            ours("ours", "classifier", *both, allocator=True),
            Contestant("transformers", peer),
            Contestant("transformers, our allocator", peer, ALLOCATOR),
            Contestant("transformers, by length, our allocator", [*peer, "--by-length"], ALLOCATOR),
        ],
        wanted.rounds,
    )
    print_rows(found, f"classifier step, {wanted.longest} tokens", "documents/s")
    lengths = np.array([len(one) for one in encode(load(tokenizer), corpus.reviews(wanted.data, 25_000))])
    padding = BucketPlan(np.minimum(lengths, wanted.longest), BATCH, 1, seed=1).padding_share()
    print(f"padding in our batches of {BATCH}, {len(lengths):,} documents: {padding:.2%}")
    keep(NAME, f"{wanted.longest} tokens", {**found, "padding_share": padding})


if __name__ == "__main__":
    run_stage(main)
