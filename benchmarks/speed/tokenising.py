"""From text to token shards: training the tokenizer, encoding, and the whole stage; megabytes of UTF-8 per second.

Encoding stands beside `encode_batch_fast` of the library under it, which all cores share, and training beside the
library's own byte-level BPE. The last table has the stage `tokenise`, which reads and writes too, on `--times` the text
and on the text once: their peak memory should be the same. The library encodes the text `--times` in a turn too, since
a machine that works for long is often slower than one that has just begun.

    python -m benchmarks.speed.tokenising --data $DATASETS_DIR --times 50
"""

import shutil
from pathlib import Path

from benchmarks.speed import corpus
from benchmarks.speed.pairs import Contestant, alternate, keep, options, ours, print_rows
from pipeline.base.files import write_json
from pipeline.base.process import run_stage
from pipeline.text.prepared import PreparedWriter, corpus_schema

NAME = "tokenising"


def prepared(folder: Path, texts: list[str], times: int, tokenizer: Path) -> Path:
    """A workspace whose generic corpus is the texts so many times over."""
    home = folder / f"times-{times}"
    for part in ("data/prepared/generic", "models/tokenizer"):
        (home / part).mkdir(parents=True, exist_ok=True)
    shutil.copyfile(tokenizer, home / "models/tokenizer/tokenizer.json")
    for part, repeats in (("train", times), ("validation", 0)):
        with PreparedWriter(home / f"data/prepared/generic/{part}.parquet", corpus_schema()) as writer:
            for _ in range(repeats):
                for text in texts:
                    writer.write(text)
    return home


def main(*words: str) -> None:
    """Print the tables."""
    parser = options(NAME, __doc__)
    parser.add_argument("--times", type=int, default=10, help="size of the larger corpus (default: %(default)s)")
    wanted = parser.parse_args(words)
    tokenizer, texts = corpus.tokenizer(wanted.data, wanted.work), corpus.some(corpus.read(wanted.data, "generic"))
    file = wanted.work / "texts.json"
    write_json(file, texts)
    megabytes = sum(len(text.encode()) for text in texts) / 1e6

    def row(name: str, what: str, times: int = 1) -> Contestant:
        words = ("--texts", str(file), "--tokenizer", str(tokenizer), "--what", what, "--times", str(times))
        return ours(name, "encoding", *words)

    def stage(times: int) -> Contestant:
        home = prepared(wanted.work, texts, times, tokenizer)
        size = str(megabytes * times)
        return ours(f"stage tokenise, {size[:6]} MB", "sharding", "--workspace", str(home), "--megabytes", size)

    tables = {
        "train": [row("ours", "train"), row("tokenizers, byte-level BPE", "library_trains")],
        "encode": [row("ours", "encode"), row("tokenizers, encode_batch_fast", "encode_batch_fast")],
        "stage": [
            stage(wanted.times),
            row(f"tokenizers, encode_batch_fast, {wanted.times} times", "encode_batch_fast", wanted.times),
            stage(1),
        ],
    }
    for key, contestants in tables.items():
        found = alternate(contestants, wanted.rounds)
        print_rows(found, key, "MB/s")
        keep(NAME, key, found)


if __name__ == "__main__":
    run_stage(main)
