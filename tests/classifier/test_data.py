"""Promise: what a training depends on is all of it, so that no resume goes on from the state of other texts."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from pipeline.base.errors import UserError
from pipeline.classifier.data import InMemory, LabelledDocuments
from pipeline.classifier.train import ClassifierTraining
from pipeline.config.hardware import HardwareConfig
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


def test_more_processes_than_documents_in_a_step_are_refused_by_a_rate_search_too(tmp_path: Path) -> None:
    """They would wait for each other for ever."""
    given = LabelledDocuments(InMemory(documents(6, 7, 8, 9)), torch.tensor([0, 1, 2, 0]))
    config = replace(CONFIG, batch_documents=2)
    training = ClassifierTraining(
        network(), given, given.subset(np.zeros(0, np.int64)), config, HardwareConfig(accelerator="cpu", devices=4)
    )
    with pytest.raises(UserError, match="4 processes for 2 sequences or documents a step"):
        training.search_rates(tmp_path / "curve.csv")
