"""Accuracy of neural peers that are trained from scratch on the same text, minutes, threads and labels as the pipeline.

It writes what the low-shot study has prepared as plain files (so nothing that is held out stands in a corpus), draws
the same labels, has each peer's script answer for the same sample of the test set, and scores the answers here: a peer
never sees a label of the test set. Its generic language model is trained once, that of a domain once per corpus.

The labels of a draw, the peer's own choice among them included, are all that a peer is given. Decisions about a peer's
schedule belong on the validation part: `--score validation`.

    python -m benchmarks.peers.environment
    python -m benchmarks.studies.repro low_shot 'domain_text@*'
    python -m benchmarks.peers.accuracy --corpora imdb agnews trec --labels 100 500 1000 --seeds 1 2 3
    python -m benchmarks.peers.accuracy --corpora trec --labels all --peers fastai -- --tokenizer subwords

Finished rows are kept in benchmarks/results/peers.json, language models and plain files under --work. Words after `--`
go to the peer's script as they are.
"""

import argparse
import json
import os
import subprocess
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from benchmarks.common import ROOT, kept, machines_line, print_table
from benchmarks.low_shot.documents import given, scored_rows
from benchmarks.low_shot.paths import DOMAIN, GENERIC, home, task
from benchmarks.peers.environment import HERE, peer_python
from benchmarks.studies.labelled import ALL, Part
from benchmarks.studies.rows import spread
from pipeline.base.errors import UserError
from pipeline.base.files import read_json, sha256, whole_file, write_json
from pipeline.base.process import ALLOCATOR, run_stage
from pipeline.text.prepared import read_texts

PEERS = {"fastai": "fastai_ulmfit.py", "transformers": "transformers_trainer.py"}
GENERIC_TEXT = 100_000_000  # characters: more than any peer reads in its minutes
STAGES = ("generic", "domain", "classifier")
TEXT_STAGES = "python -m benchmarks.studies.repro low_shot 'domain_text@*'"


class Plain(NamedTuple):
    """The plain files of a corpus."""

    generic: Path
    domain: Path
    # Holds train.jsonl and test.jsonl.
    task: Path

    def digests(self) -> list[str]:
        """What a row depends on, by content."""
        return [
            sha256(file) for file in (self.generic, self.domain, self.task / "train.jsonl", self.task / "test.jsonl")
        ]


def write_plain(corpus: str, part: str, work: Path) -> tuple[Plain, np.ndarray]:
    """Write a corpus's files, and return them with the true classes (N,) of the documents that are asked for."""
    folder = work / corpus / part
    plain = Plain(work / "generic.jsonl", work / corpus / "domain.jsonl", folder)
    write_lines(plain.generic, texts_of(GENERIC / "data/prepared/generic/train.parquet", GENERIC_TEXT))
    write_lines(plain.domain, texts_of(home(corpus) / DOMAIN / "train.parquet"))
    names = read_json(task(corpus) / "labels.json")["labels"]
    train, asked = Part.read(task(corpus), "train"), scored_part(corpus, part)
    labelled = zip(train.texts, train.labels, strict=True)
    write_lines(folder / "train.jsonl", ({"text": text, "label": names[label]} for text, label in labelled))
    write_lines(folder / "test.jsonl", ({"text": text} for text in asked.texts))
    return plain, asked.labels


def scored_part(corpus: str, part: str) -> Part:
    """The low-shot study's sample of the test set, or as many documents of the validation part."""
    whole = Part.read(task(corpus), part)
    return whole.some(scored_rows(len(whole)))


def texts_of(prepared: Path, characters: int | None = None) -> Iterable[dict[str, str]]:
    """The documents of a prepared corpus, up to so many characters of it."""
    if not prepared.is_file():
        raise UserError(f"{prepared}: no such file; run `{TEXT_STAGES}` first")
    read = 0
    for text in read_texts(prepared):
        yield {"text": text}
        read += len(text)
        if characters is not None and read >= characters:
            return


def write_lines(path: Path, values: Iterable[dict[str, str]]) -> None:
    """One JSON object a line."""
    with whole_file(path) as file:
        for value in values:
            file.write((json.dumps(value, ensure_ascii=False) + "\n").encode())


def row(
    peer: str, corpus: str, labels: str, seed: int, plain: Plain, truth_N: np.ndarray, options: argparse.Namespace
) -> dict[str, Any]:
    """One peer with one draw of labels: its error and minutes."""
    print(f"{peer}: {corpus}, {labels} labels, seed {seed}", flush=True)
    about = {"peer": peer, "corpus": corpus, "labels": labels, "seed": seed, "part": options.score}
    budget = {name: getattr(options, name) for name in ("minutes_generic", "minutes_domain", "threads")}

    def make() -> dict[str, Any]:
        drawn = given(corpus, labels, str(seed))
        rows = options.work / corpus / f"rows-{labels}-{seed}.json"
        write_json(rows, drawn.rows.tolist())
        found = answered(command(peer, plain, rows, seed, options), options)
        names = {name: index for index, name in enumerate(drawn.classes)}
        wrong_N = np.array([names[answer] for answer in found.pop("answers")]) != truth_N
        return {**about, **budget, "words": options.words, "error": float(wrong_N.mean()), "found": found}

    return kept("peers", [about, budget, options.words, plain.digests()], make, again=options.again)


def command(peer: str, plain: Plain, rows: Path, seed: int, options: argparse.Namespace) -> list[str]:
    """The peer's script with all that it is given."""
    given = {
        "--generic": plain.generic,
        "--domain": plain.domain,
        "--minutes-generic": options.minutes_generic,
        "--minutes-domain": options.minutes_domain,
        "--lm": options.work / "language_models",
        "--task": plain.task,
        "--rows": rows,
        "--seed": seed,
        "--threads": options.threads,
        "--threads-classifier": options.threads_classifier or options.threads,
        "--out": rows.with_name(rows.name.replace("rows", f"answers-{peer}")),
    }
    words = [str(word) for pair in given.items() for word in pair]
    return [str(peer_python()), str(HERE / PEERS[peer]), *words, *options.words]


def answered(words: list[str], options: argparse.Namespace) -> dict[str, Any]:
    """Run a peer's script, with the allocator's thresholds that our own training has, and read its answers."""
    threads = dict.fromkeys(("OMP_NUM_THREADS", "RAYON_NUM_THREADS"), str(options.threads))
    offline = {"HF_HUB_OFFLINE": "1", "TOKENIZERS_PARALLELISM": "true"}
    if subprocess.run(words, env=os.environ | ALLOCATOR | threads | offline).returncode:
        raise UserError(f"{Path(words[1]).name}: failed (its lines are above); finished rows are kept, run it again")
    return dict(read_json(words[words.index("--out") + 1]))


def table(rows: Sequence[dict[str, Any]]) -> list[tuple[Any, ...]]:
    """A line for each corpus, number of labels and peer: mean and spread of the error, mean minutes of each stage."""
    cells: dict[tuple[str, str, str], list[dict[str, Any]]] = {}
    for one in rows:
        cells.setdefault((one["corpus"], one["labels"], one["peer"]), []).append(one)
    lines = []
    for (corpus, labels, peer), found in cells.items():
        mean, sd = spread([one["error"] for one in found])
        minutes = [np.mean([one["found"][stage]["seconds"] for one in found]) / 60 for stage in STAGES]
        lines.append((f"{corpus}, {labels} labels", peer, mean, sd, len(found), *(f"{one:.1f}" for one in minutes)))
    return lines


def options_of(words: Sequence[str]) -> argparse.Namespace:
    """The command line; what follows `--` is the peer's."""
    own, more = (words[: words.index("--")], words[words.index("--") + 1 :]) if "--" in words else (words, ())
    parser = argparse.ArgumentParser("python -m benchmarks.peers.accuracy", description=__doc__.split("\n\n")[0])
    default = "(default: %(default)s)"
    parser.add_argument("--peers", choices=PEERS, nargs="+", default=list(PEERS), help=default)
    parser.add_argument("--corpora", nargs="+", default=["imdb", "agnews", "trec"], help=default)
    parser.add_argument("--labels", nargs="+", default=["100", "500", "1000"], help=f'numbers, or "{ALL}" {default}')
    parser.add_argument("--seeds", type=int, nargs="+", default=[1, 2, 3], help=default)
    parser.add_argument("--minutes-generic", type=float, default=20, help=f"of pretraining {default}")
    parser.add_argument("--minutes-domain", type=float, default=10, help=f"of domain fine-tuning {default}")
    parser.add_argument("--threads", type=int, default=4, help=f"of the language models {default}")
    parser.add_argument(
        "--threads-classifier",
        type=int,
        help="of the classifier, which has no clock; rows of one can be made side by side",
    )
    parser.add_argument("--score", choices=("validation", "test"), default="test", help=f"which part {default}")
    parser.add_argument("--work", type=Path, default=ROOT / ".benchmarks/peers", help="for what is made on the way")
    parser.add_argument("--again", action="store_true", help="make finished rows anew")
    parser.add_argument("--markdown", action="store_true", help="print the table for docs/results.md")
    options = parser.parse_args(own)
    options.words = list(more)
    return options


def main(*words: str) -> None:
    """Make what is missing, print mean and standard deviation over the seeds."""
    options = options_of(words)
    options.work = options.work.resolve()
    peer_python()
    rows = []
    for corpus in options.corpora:
        plain, truth_N = write_plain(corpus, options.score, options.work)
        for peer in options.peers:
            for labels in options.labels:
                rows += [row(peer, corpus, labels, seed, plain, truth_N, options) for seed in options.seeds]
    headers = ("task", "peer", "error", "sd", "seeds", *(f"minutes {stage}" for stage in STAGES))
    print_table(headers, table(rows), markdown=options.markdown)
    budget = f"{options.minutes_generic:g} minutes of pretraining, {options.minutes_domain:g} of domain fine-tuning"
    print(f"\nError on the {options.score} part; {budget}, on {options.threads} threads.")
    print(machines_line([one["machine"] for one in rows]))


if __name__ == "__main__":
    run_stage(main)
