"""Promise: a student is taught on documents that no label was given for, spread over the text, and on the labels."""

from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import torch

from pipeline.classifier.data import InMemory, LabelledDocuments, Task
from pipeline.classifier.student import Unlabelled, taught, too_few
from pipeline.config.self_train import SelfTrainConfig


@pytest.fixture
def domain(tmp_path: Path) -> Path:
    path = tmp_path / "train.parquet"
    pq.write_table(pa.table({"text": [f"text {number}" for number in range(100)]}), path)
    return path


@pytest.mark.parametrize("most", [0, 1, 10, 99, 100, 1000])
def test_so_many_documents_are_spread_over_the_text(domain: Path, most: int) -> None:
    found = Unlabelled.among(domain, [], most)
    assert found.texts == [f"text {row}" for row in found.rows]
    assert len(found.rows) == min(most, 100) == len(set(found.rows.tolist()))
    assert most < 2 or np.diff(found.rows).max() - np.diff(found.rows).min() <= 1


def test_labelled_documents_are_not_among_them(domain: Path) -> None:
    found = Unlabelled.among(domain, ["text 3", "text 99", "elsewhere"], 1000)
    assert len(found.rows) == 98
    assert not {3, 99} & set(found.rows.tolist())


def test_labelled_documents_take_no_place_of_the_others(domain: Path) -> None:
    found = Unlabelled.among(domain, [f"text {number}" for number in range(60)], 30)
    assert (len(found.rows), found.there) == (30, 40)
    assert found.texts == [f"text {row}" for row in found.rows]
    assert min(found.rows) >= 60


@pytest.mark.parametrize(
    ("there", "documents", "why"),
    [
        (50, 4000, "50 unlabelled documents for 60 labelled ones: no student"),
        (5000, 59, "`documents: 59` for 60 labelled ones: no student"),
        (60, 4000, None),
    ],
)
def test_why_there_is_no_student_is_told_by_what_decides(there: int, documents: int, why: str | None) -> None:
    config = SelfTrainConfig(documents=documents)
    assert too_few(config, unlabelled=there, labelled=60) == why


def test_the_teachers_word_stands_behind_the_labels() -> None:
    def documents(*tokens: int) -> InMemory:
        return InMemory([np.array([2, token, 3]) for token in tokens])

    given = LabelledDocuments(documents(10, 11), torch.tensor([2, 0]), reverse=True)
    task = Task(("a", "b", "c"), False, ("text",), given, given.subset(np.zeros(0, np.int64)), "mark")
    said_NC = np.array([[0.2, 0.5, 0.3], [0.1, 0.1, 0.8]])
    train = taught(task, documents(20, 21, 22), np.array([0, 2]), said_NC).train
    assert train.guessed
    assert train.reverse
    assert [train.documents.document(number)[1] for number in range(4)] == [10, 11, 20, 22]
    np.testing.assert_array_equal(train.lengths, [3, 3, 3, 3])
    torch.testing.assert_close(
        train.targets, torch.tensor([[0, 0, 1], [1, 0, 0], [0.2, 0.5, 0.3], [0.1, 0.1, 0.8]], dtype=torch.float32)
    )
    part = train.subset(np.array([3, 0]))
    assert part.guessed
    assert [part.documents.document(number)[1] for number in range(2)] == [22, 10]
