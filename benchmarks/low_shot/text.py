"""Stages of the low-shot study that read text: `python -m benchmarks.low_shot.text tasks|generic|tokens|domain CORPUS`.

The generic corpus and every domain leave out what is held out: the generic one, which all corpora share, that of all.
"""

import shutil
from collections.abc import Callable
from pathlib import Path

from benchmarks.low_shot.paths import GENERIC, HELD_OUT, TASKS, TOKENIZER, WORK, datasets, home, params, task
from benchmarks.studies.recipes import dataset, inside, raw, recipe
from pipeline.base.errors import UserError
from pipeline.base.files import read_json, whole_folder, write_json
from pipeline.base.process import run_stage
from pipeline.text.prepared import PreparedWriter, corpus_schema, read_texts
from stages import prepare, tokenise, tokenizer


def main(what: str, *corpus: str) -> None:
    """Run one of the stages."""
    stages: dict[str, Callable[..., None]] = {"tasks": tasks, "generic": generic, "tokens": tokens, "domain": domain}
    if what not in stages:
        raise UserError(f'"{what}" is no stage of the study; take one of {", ".join(stages)}')
    stages[what](*corpus)


def tasks() -> None:
    """Prepare the labelled documents of every corpus, and gather what all of them hold out."""
    sources = params()["sources"]
    with whole_folder(TASKS) as out:
        for corpus in sources:
            folder, name = WORK / "prepare" / corpus, datasets(corpus)["task"]
            with inside(folder, {"task": dataset(name)}, raw(name)):
                prepare.main("task")
            shutil.move(folder / "data/prepared/task", out / corpus)
        hold_out([out / corpus for corpus in sources], out / HELD_OUT.name)


def hold_out(prepared: list[Path], folder: Path) -> None:
    """Write the held-out documents of several tasks as if they were one's, for `stages.prepare` to leave out."""
    folder.mkdir()
    described = [read_json(one / "labels.json") for one in prepared]
    for part in ("validation", "test"):
        with PreparedWriter(folder / f"{part}.parquet", corpus_schema()) as file:
            for one in prepared:
                for text in read_texts(one / f"{part}.parquet"):
                    file.write(text)
    spaced = all(one["spaced"] for one in described)
    write_json(folder / "labels.json", {"spaced": spaced, "transductive": False})


def generic() -> None:
    """Prepare the generic corpus."""
    name = params()["generic"]
    with inside(GENERIC, {"generic": dataset(name)}, {**raw(name), "data/prepared/task": HELD_OUT}):
        prepare.main("generic")


def tokens() -> None:
    """Learn the tokenizer from the generic corpus, and tokenise it."""
    said = params()
    configs = {
        "tokenizer": recipe("tokenizer", {"recipe": said["tokenizer"]}),
        "pretrain": recipe("pretrain", said["pretrain"]),
    }
    with inside(GENERIC, configs, {}):
        tokenizer.main()
        tokenise.main("generic")


def domain(corpus: str) -> None:
    """Prepare a corpus's unlabelled text; tokenise it and the labelled documents."""
    name = datasets(corpus)["domain"]
    links = {"data/prepared/task": task(corpus), "models/tokenizer": TOKENIZER}
    with inside(home(corpus), {"domain": dataset(name)}, {**raw(name), **links}):
        prepare.main("domain")
        for role in ("task", "domain"):
            tokenise.main(role)


if __name__ == "__main__":
    run_stage(main)
