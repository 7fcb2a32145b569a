"""Tokenizers: ours, and those that it is measured against, on the same texts."""

import argparse
import json
from collections.abc import Callable
from pathlib import Path

from tokenizers import ByteLevelBPETokenizer, Tokenizer

from benchmarks.speed.turns import Turns
from pipeline.config.tokenizer import TokenizerConfig
from pipeline.text.tokenizer import encode, load, train


def works(texts: list[str], tokenizer: Path) -> dict[str, Callable[[], object]]:
    """What can be measured, by name."""
    own, plain = load(tokenizer), Tokenizer.from_file(str(tokenizer))

    def library_trains() -> object:
        return ByteLevelBPETokenizer().train_from_iterator(texts, 8192, show_progress=False)

    return {
        "encode": lambda: encode(own, texts),
        "encode_batch_fast": lambda: plain.encode_batch_fast(texts),
        "train": lambda: train(texts, TokenizerConfig(vocabulary=8192)),
        "library_trains": library_trains,
    }


def main() -> None:
    """Take turns; the amount is megabytes of UTF-8."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--texts", type=Path, required=True)
    parser.add_argument("--tokenizer", type=Path, required=True)
    parser.add_argument("--what", required=True)
    parser.add_argument("--times", type=int, default=1, help="how often in a turn (default: %(default)s)")
    options = parser.parse_args()
    turns = Turns("tokenizers")
    texts = json.loads(options.texts.read_text(encoding="utf-8"))
    size = sum(len(text.encode()) for text in texts) / 1e6
    work = works(texts, options.tokenizer)[options.what]

    def turn() -> float:
        for _ in range(options.times):
            work()
        return size * options.times

    turns.serve(turn)


if __name__ == "__main__":
    main()
