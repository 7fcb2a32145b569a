"""Stage `prepare`: `python -m stages.prepare task|domain|generic` turns a data set's files into clean documents.

The task comes first: the other two leave out its validation and test documents, and near-duplicates of them.
"""

from pathlib import Path

from pipeline.base.errors import UserError, suggest
from pipeline.base.files import read_json, whole_folder
from pipeline.base.process import run_stage
from pipeline.config.chosen import choice, chosen, path_of
from pipeline.config.dataset import DatasetConfig
from pipeline.text.corpus import Task, prepare_corpus
from pipeline.text.overlap import HeldOut, ngrams
from pipeline.text.prepared import read_texts
from pipeline.text.sources.read import Source
from pipeline.text.task import prepare_task

RAW = Path("data/raw")
PREPARED = Path("data/prepared")
ROLES = ("task", "domain", "generic")


def main(role: str) -> None:
    """Prepare the data set that `configs/config.yaml` names for a role."""
    if role not in ROLES:
        raise UserError(f'"{role}" is no role; {suggest(role, ROLES)}')
    config = chosen(role, DatasetConfig)
    source, where = Source(config, RAW / choice(role)), str(path_of(role))
    with whole_folder(PREPARED / role) as out:
        if role == "task":
            prepare_task(config, source, out, where)
        else:
            prepare_corpus(config, source, out, task(), where)


def task() -> Task:
    """The task's documents that no corpus may hold; none where the task is transductive."""
    labels = read_json(PREPARED / "task/labels.json")
    parts = () if labels["transductive"] else ("validation", "test")
    texts = {part: read_texts(PREPARED / f"task/{part}.parquet") for part in parts}
    held_out = {part: HeldOut(ngrams(found, spaced=labels["spaced"])) for part, found in texts.items()}
    return Task(held_out, labels["spaced"])


if __name__ == "__main__":
    run_stage(main)
