"""Batches alone, without a model: what the data costs of a step.

python -m benchmarks.speed.batching
"""

from benchmarks.speed import corpus
from benchmarks.speed.pairs import Contestant, alternate, keep, options, ours, print_rows
from pipeline.base.files import write_json
from pipeline.base.process import run_stage

NAME = "batching"


def main(*words: str) -> None:
    """Print the tables."""
    parser = options(NAME, __doc__)
    parser.add_argument("--documents", type=int, default=2000, help="of the classifier (default: %(default)s)")
    wanted = parser.parse_args(words)
    tokens, tokenizer = corpus.tokens(wanted.data, wanted.work), corpus.tokenizer(wanted.data, wanted.work)
    texts = wanted.work / "batching.json"
    write_json(texts, corpus.reviews(wanted.data, wanted.documents))
    shared = ["--tokens", str(tokens.folder), "--plain", str(corpus.plain_tokens(tokens, wanted.work))]
    shared += ["--tokenizer", str(tokenizer), "--texts", str(texts)]

    def row(name: str, what: str) -> Contestant:
        return ours(name, "batches", *shared, "--what", what)

    tables = {
        "windows": ("tokens/s", [row("ours: windows", "windows"), row("nanoGPT's get_batch", "get_batch")]),
        "documents": ("documents/s", [row("ours: length buckets", "buckets"), row("padding in file order", "plain")]),
    }
    for key, (unit, contestants) in tables.items():
        found = alternate(contestants, wanted.rounds)
        print_rows(found, key, unit)
        keep(NAME, key, found)


if __name__ == "__main__":
    run_stage(main)
