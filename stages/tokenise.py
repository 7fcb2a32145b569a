"""Stage tokenise: the prepared text of one role as token shards (`python -m stages.tokenise generic`)."""

import shutil
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np

from pipeline.base.process import run_stage
from pipeline.base.progress import Progress
from pipeline.shards.write import write_shards
from pipeline.text.prepared import count, read_texts
from pipeline.text.tokenizer import encoded, fingerprint, load

TOKENIZER = Path("models/tokenizer/tokenizer.json")
PARTS = ("train", "validation", "test")


def main(role: str) -> None:
    """Write data/tokens/ROLE/PART for each data/prepared/ROLE/PART.parquet, in the order of its rows."""
    tokenizer = load(TOKENIZER)
    mark = fingerprint(TOKENIZER)
    vocabulary = tokenizer.get_vocab_size()
    prepared, out = Path("data/prepared") / role, Path("data/tokens") / role
    shutil.rmtree(out, ignore_errors=True)  # a part that is no more must not stay

    def documents(file: Path, progress: Progress) -> Iterator[tuple[np.ndarray, int, int]]:
        read, started = 0, time.monotonic()
        for text, tokens in encoded(tokenizer, read_texts(file)):
            size = len(text.encode("utf-8"))
            yield tokens, size, len(text)
            read += size
            progress.update(text=f"{read / 1e6 / (time.monotonic() - started):.1f} MB/s")

    for part in PARTS:
        file = prepared / f"{part}.parquet"
        if not file.is_file() and part == "test":  # a corpus has none
            continue
        with Progress(f"tokenise {role} {part}", count(file), "documents") as progress:
            index = write_shards(out / part, documents(file, progress), vocabulary=vocabulary, tokenizer=mark)
        if index.tokens:
            print(
                f"  {part}: {index.documents:,} documents, {index.tokens:,} tokens, "
                f"{index.characters / index.tokens:.2f} characters per token"
            )


if __name__ == "__main__":
    run_stage(main)
