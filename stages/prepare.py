"""Stage `prepare`: `python -m stages.prepare task|domain|generic` turns a data set's files into clean documents.

The task comes first: the other two leave out its validation and test documents, and near-duplicates of them.
"""

from pathlib import Path

from pipeline.base.errors import UserError, suggest
from pipeline.base.files import read_json, whole_folder
from pipeline.base.process import run_stage
from pipeline.config.chosen import choice, chosen, path_of
from pipeline.config.dataset import DatasetConfig
from pipeline.text.corpus import prepare_corpus
from pipeline.text.overlap import HeldOut
from pipeline.text.prepared import read_texts
from pipeline.text.task import prepare_task

RAW = Path("data/raw")
PREPARED = Path("data/prepared")
ROLES = ("task", "domain", "generic")


def main(role: str) -> None:
    """Prepare the data set that `configs/config.yaml` names for a role."""
    if role not in ROLES:
        raise UserError(f'"{role}" is no role; {suggest(role, ROLES)}')
    config = chosen(role, DatasetConfig)
    folder, where = RAW / choice(role), str(path_of(role))
    with whole_folder(PREPARED / role) as out:
        if role == "task":
            prepare_task(config, folder, out, where)
        else:
            prepare_corpus(config, folder, out, held_out(), where)


def held_out() -> dict[str, HeldOut]:
    """The task's documents that no corpus may hold, by part; none where the task is transductive."""
    labels = read_json(PREPARED / "task/labels.json")
    if labels["transductive"]:
        return {}
    files = {part: PREPARED / f"task/{part}.parquet" for part in ("validation", "test")}
    return {part: HeldOut(read_texts(path), spaced=labels["spaced"]) for part, path in files.items()}


if __name__ == "__main__":
    run_stage(main)
