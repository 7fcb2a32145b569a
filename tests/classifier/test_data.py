"""Promises: a resume never goes on from the state of other texts, and a task that cannot be opened is one line."""

import tracemalloc
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from pipeline.base.errors import UserError
from pipeline.base.files import read_json, write_json
from pipeline.classifier.data import InMemory, LabelledDocuments, Task
from pipeline.classifier.train import ClassifierTraining
from pipeline.config.hardware import HardwareConfig
from pipeline.shards.write import write_shards
from pipeline.text.prepared import PreparedWriter, corpus_schema, task_schema
from tests.classifier.small import CONFIG, documents, network


def test_the_digest_tells_other_texts_labels_and_directions_apart() -> None:
    tokens = [np.array([5, 6, 7]), np.array([8, 9])]
    given = LabelledDocuments(InMemory(tokens), torch.tensor([0, 1]))
    others = [
        replace(given, documents=InMemory([np.array([5, 6, 8]), tokens[1]])),  # as long as before
        replace(given, documents=InMemory([np.array([5, 6]), np.array([7, 8, 9])])),
        replace(given, targets=torch.tensor([1, 1])),
        replace(given, reverse=True),
    ]
    again = LabelledDocuments(InMemory([one.astype(np.uint16) for one in tokens]), torch.tensor([0, 1]))
    assert again.digest() == given.digest(), "on disk tokens are narrower"
    assert len({given.digest(), *(other.digest() for other in others)}) == 5


def test_the_digest_of_many_labels_takes_little_more_memory_than_they_do() -> None:
    """As Python's numbers, tens of millions of them, they would take as many gigabytes."""
    targets = torch.zeros(300, 1000)
    given = LabelledDocuments(InMemory([np.array([5])] * 300), targets)
    others = [replace(given, targets=other) for other in (targets.long(), targets[:, :999], targets + 1)]
    given.digest()  # what it imports is no part of it
    tracemalloc.start()
    whole = given.digest()
    most = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert most < 1.5 * targets.nbytes
    assert whole not in {other.digest() for other in others}


def test_more_processes_than_documents_in_a_step_are_refused_by_a_rate_search_too(tmp_path: Path) -> None:
    """They would wait for each other for ever."""
    given = LabelledDocuments(InMemory(documents(6, 7, 8, 9)), torch.tensor([0, 1, 2, 0]))
    config = replace(CONFIG, batch_documents=2)
    training = ClassifierTraining(
        network(), given, given.subset(np.zeros(0, np.int64)), config, HardwareConfig(accelerator="cpu", devices=4)
    )
    with pytest.raises(UserError, match="4 processes for 2 sequences or documents a step"):
        training.search_rates(tmp_path / "curve.csv")


def task(folder: Path) -> Path:
    """A task as the stages prepare and tokenise leave it: under `prepared` and `tokens`."""
    for part in ("train", "validation"):
        (folder / "prepared").mkdir(parents=True, exist_ok=True)
        with PreparedWriter(folder / f"prepared/{part}.parquet", task_schema(False)) as file:
            for number in range(600):
                file.write(f"text {number}", number % 2)
        texts = ((np.array([1, 5, 2], np.uint16), 4, 4) for _ in range(600))
        write_shards(folder / "tokens" / part, texts, vocabulary=9, tokenizer="one")
    write_json(folder / "prepared/labels.json", {"labels": ["cat", "dog"], "multilabel": False, "text": ["text"]})
    return folder


def test_how_long_a_document_is_at_most_comes_from_the_task_where_it_says_so(tmp_path: Path) -> None:
    folder = task(tmp_path)
    assert Task.open(folder / "prepared", folder / "tokens", reverse=False).max_characters is None
    labels = folder / "prepared/labels.json"
    write_json(labels, read_json(labels) | {"max_characters": 9000})
    assert Task.open(folder / "prepared", folder / "tokens", reverse=False).max_characters == 9000


def unlabelled(path: Path) -> None:
    with PreparedWriter(path, corpus_schema()) as file:
        file.write("a text")


def spoiled_pages(path: Path) -> None:
    """The end of the file, by which it is opened, is whole."""
    content = path.read_bytes()
    metadata = int.from_bytes(content[-8:-4], "little") + 8
    path.write_bytes(bytes(len(content) - metadata) + content[-metadata:])


AGAIN = "; delete it and run `dvc repro` again"


@pytest.mark.parametrize(
    ("file", "spoil", "message"),
    [
        ("train.parquet", Path.unlink, ": no such file; run `dvc repro`, which prepares it"),
        ("train.parquet", lambda path: path.write_bytes(path.read_bytes()[:99]), AGAIN),
        ("validation.parquet", lambda path: path.write_bytes(b""), AGAIN),
        ("train.parquet", spoiled_pages, AGAIN),
        ("train.parquet", unlabelled, f": is damaged (no column `label`){AGAIN}"),
        ("labels.json", Path.unlink, ": no such file; run the stage that makes it (`dvc repro`)"),
        ("labels.json", lambda path: path.write_text("{}"), f": is damaged (`labels` is missing or wrong){AGAIN}"),
        ("labels.json", lambda path: path.write_text("[]"), f": is damaged (`labels` is missing or wrong){AGAIN}"),
        (
            "labels.json",
            lambda path: write_json(path, {"labels": ["cat"], "multilabel": "no"}),
            f": is damaged (`multilabel` is missing or wrong){AGAIN}",
        ),
    ],
)
def test_a_part_that_is_missing_or_damaged_is_one_line(
    file: str, spoil: Callable[[Path], object], message: str, tmp_path: Path
) -> None:
    folder = task(tmp_path)
    assert len(Task.open(folder / "prepared", folder / "tokens", reverse=False).train) == 600
    path = folder / "prepared" / file
    spoil(path)
    with pytest.raises(UserError) as caught:
        Task.open(folder / "prepared", folder / "tokens", reverse=False)
    assert str(caught.value).startswith(f"{path}: ")
    assert str(caught.value).endswith(message)
    assert "\n" not in str(caught.value)
