"""Promise: what a training depends on is all of it, so that no resume goes on from the state of other texts."""

from dataclasses import replace

import numpy as np
import torch

from pipeline.classifier.data import InMemory, LabelledDocuments


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
