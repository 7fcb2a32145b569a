"""Prediction from raw text: many documents at once, and one after the other (latency).

Six layers of width 256 on both sides, at most 512 tokens a document. `transformers` stands once as people call it
(fp32, one document at a time is its default) and once tuned by hand: sorted by length, 32 at once, bf16 where native.

    python -m benchmarks.speed.predict --data $DATASETS_DIR
"""

from benchmarks.peers.environment import peer_python
from benchmarks.speed import corpus
from benchmarks.speed.contestants.predict import write_classifier
from benchmarks.speed.pairs import Contestant, alternate, keep, options, ours, print_rows
from pipeline.base.files import write_json
from pipeline.base.process import run_stage
from pipeline.training.environment import resolve_precision

NAME = "predict"


def main(*words: str) -> None:
    """Print both tables."""
    parser = options(NAME, __doc__)
    parser.add_argument("--documents", type=int, default=256, help="a turn in bulk (default: %(default)s)")
    parser.add_argument("--single", type=int, default=32, help="a turn one by one (default: %(default)s)")
    wanted = parser.parse_args(words)
    tokenizer, folder = corpus.tokenizer(wanted.data, wanted.work), wanted.work / "classifier"
    write_classifier(folder, tokenizer)
    best = resolve_precision("auto", "cpu")
    for key, documents, one in (("bulk", wanted.documents, []), ("one text", wanted.single, ["--one-by-one"])):
        texts = wanted.work / f"predict-{documents}.json"
        write_json(texts, corpus.reviews(wanted.data, documents))
        own = ["--classifier", str(folder), "--texts", str(texts), *one]
        peer = [peer_python(), "-m", "benchmarks.speed.contestants.transformers_pipeline", "--tokenizer", tokenizer]
        peer += ["--texts", texts]
        rows = [ours("ours", "predict", *own), Contestant("transformers, as called", [*peer, *one])]
        if not one:
            rows.insert(1, ours("ours, fp32", "predict", *own, "--precision", "fp32"))
            rows.append(Contestant(f"transformers, tuned, {best}", [*peer, "--tuned", "--precision", best]))
        found = alternate(rows, wanted.rounds)
        print_rows(found, f"predict, {key}", "documents/s")
        keep(NAME, key, found)


if __name__ == "__main__":
    run_stage(main)
