"""A corpus several times larger than memory, from raw text to training steps: peak memory and speed of each stage.

Text is written until it has `--gigabytes`: real articles again and again, each time with their sentences in another
order and a number of its own, so that no two documents are equal. Each stage then runs as a process that may hold no
more than `--limit-gigabytes` of data (RLIMIT_DATA: what it allocates; pages of mapped files are the system's, which
takes them back). A stage that needs more ends with an error, and so does this command.

    python -m benchmarks.larger_than_memory --data $DATASETS_DIR --gigabytes 20 --limit-gigabytes 4
    python -m benchmarks.larger_than_memory --gigabytes 0.05                     # documentation strings, a minute
"""

import argparse
import json
import os
import random
import resource
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Any

from benchmarks.common import ROOT, machine, machine_line, print_table, workspace, write_json
from benchmarks.speed import corpus
from pipeline.base.errors import UserError
from pipeline.base.process import run_stage
from pipeline.config.read import read_yaml
from pipeline.text.prepared import PreparedWriter, corpus_schema

NAME = "larger_than_memory"
STAGES = (("prepare", "generic"), ("tokenizer",), ("tokenise", "generic"), ("pretrain", "forward"))
# Of the vocabulary's co-occurrences; the spectral start alone needs two gigabytes for them, whatever the corpus.
PRETRAIN = {"tokens": 81920, "validate_every": 20, "validation_tokens": 8192, "embeddings": "noise", "length": 128}
FILES = 8  # that the text is written to


def articles(data: Path | None, most: int) -> list[str]:
    """The texts that are written again and again."""
    return corpus.some(corpus.read(data, "generic"), most)


def varied(texts: list[str]) -> Iterator[str]:
    """The texts without end, all different: the sentences of each in another order every time, and a number."""
    some, number = random.Random(1), 0
    while True:
        for text in texts:
            sentences = text.split(". ")
            some.shuffle(sentences)
            yield f"Text {number}. " + ". ".join(sentences)
            number += 1


def write_text(folder: Path, texts: list[str], wanted: float) -> float:
    """Write so many bytes of text as lines of JSON, where they are not there yet; returns how many there are."""
    done = folder / "bytes.json"
    if done.is_file() and (there := json.loads(done.read_text()))["wanted"] == wanted:
        return float(there["written"])
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    source, written = varied(texts), 0.0
    for part in range(FILES):
        with (folder / f"part-{part}.jsonl").open("w", encoding="utf-8") as file:
            while written < wanted * (part + 1) / FILES:
                text = next(source)
                file.write(json.dumps({"text": text}) + "\n")
                written += len(text.encode())
    done.write_text(json.dumps({"wanted": wanted, "written": written}))
    return written


def prepared_task(folder: Path) -> None:
    """A task that holds nothing out."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "labels.json").write_text(json.dumps({"labels": [], "spaced": True, "transductive": False}))
    for part in ("validation", "test"):
        with PreparedWriter(folder / f"{part}.parquet", corpus_schema()) as writer:
            writer.write("nothing")


def home(folder: Path, files: list[Path], recipe: dict[str, Any]) -> Path:
    """A workspace whose generic corpus is the files."""
    data_files = {"train": [file.name for file in files]}
    dataset = {"path": "jsonl", "data_files": data_files, "text": "text", "validation": 0.0001}
    configs = {
        "generic": dataset,
        "tokenizer": read_yaml(ROOT / "configs/tokenizer/bpe_8k.yaml"),
        "model": read_yaml(ROOT / "configs/model/decoder_tiny.yaml"),
        "pretrain": recipe,
        "hardware": {"accelerator": "cpu", "micro_batch": 4},
    }
    made = workspace(folder, configs, {"data/raw/chosen": files[0].parent})
    prepared_task(made / "data/prepared/task")
    return made


def limited(bytes_: int) -> None:
    """Called in a process before it starts."""
    resource.setrlimit(resource.RLIMIT_DATA, (bytes_, bytes_))


def measured(folder: Path, stage: tuple[str, ...], limit: float) -> dict[str, float]:
    """Run a stage under the limit: its seconds, and its peak of memory that belongs to no file."""
    environment = os.environ | {"PYTHONPATH": str(ROOT)}
    command = [sys.executable, "-m", f"stages.{stage[0]}", *stage[1:]]
    started = time.perf_counter()
    process = subprocess.Popen(command, cwd=folder, env=environment, preexec_fn=partial(limited, int(limit)))
    peak = 0.0
    while process.poll() is None:
        peak = max(peak, anonymous(process.pid))
        time.sleep(0.01)
    if process.returncode:
        raise UserError(f"{' '.join(stage)} did not end within {limit / 1e9:g} GB of data; its own error stands above")
    return {"seconds": time.perf_counter() - started, "peak_mb": peak / 1e6}


def anonymous(pid: int) -> float:
    """Bytes that a process holds now beside what it maps from files."""
    try:
        lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    except (FileNotFoundError, ProcessLookupError):
        return 0.0
    return next((1024.0 * int(line.split()[1]) for line in lines if line.startswith("RssAnon:")), 0.0)


def main(*words: str) -> None:
    """Write the text, run the stages, print the table."""
    parser = argparse.ArgumentParser(f"python -m benchmarks.{NAME}", description=__doc__.split("\n\n")[0])
    parser.add_argument("--data", type=Path, help="folder of real text; without it documentation strings")
    parser.add_argument("--gigabytes", type=float, default=8.0, help="of text (default: %(default)s)")
    parser.add_argument("--limit-gigabytes", type=float, default=2.0, help="for each stage (default: %(default)s)")
    parser.add_argument("--work", type=Path, default=ROOT / f".benchmarks/{NAME}", help="folder (default: %(default)s)")
    wanted = parser.parse_args(words)
    if sys.platform != "linux":
        raise UserError(f"benchmarks.{NAME} reads /proc and limits what a process allocates, which only Linux does")
    work = wanted.work.resolve()
    written = write_text(work / "text", articles(wanted.data, corpus.CHARACTERS), wanted.gigabytes * 1e9)
    recipe = read_yaml(ROOT / "configs/pretrain/small.yaml") | PRETRAIN
    folder = home(work / "run", sorted((work / "text").glob("*.jsonl")), recipe)
    found = {" ".join(stage): measured(folder, stage, wanted.limit_gigabytes * 1e9) for stage in STAGES}
    rows = [
        (name, f"{row['peak_mb']:,.0f}", f"{row['seconds']:.0f}", f"{written / 1e6 / row['seconds']:.1f}")
        for name, row in found.items()
    ]
    print(f"{written / 1e9:.2f} GB of text, {wanted.limit_gigabytes:g} GB of data for each stage")
    print_table(("stage", "peak MB", "seconds", "MB of text/s"), rows)
    about = machine()
    print(machine_line(about))
    write_json(NAME, {"bytes": written, "limit": wanted.limit_gigabytes * 1e9, "stages": found, "machine": about})


if __name__ == "__main__":
    run_stage(main)
