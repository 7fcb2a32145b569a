"""Numbers about a data set that a person should see before trusting it."""

from collections import Counter
from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np

from pipeline.text.documents import Document
from pipeline.text.overlap import HeldOut, ngrams

QUANTILES = {"minimum": 0, "p05": 5, "p25": 25, "median": 50, "p75": 75, "p95": 95, "maximum": 100}  # per cent


def lengths(characters: Sequence[int]) -> dict[str, int]:
    """Total and quantiles of document lengths; empty for no documents."""
    if not len(characters):
        return {"total": 0}
    values = np.asarray(characters, dtype=np.int64)
    found = np.percentile(values, list(QUANTILES.values()), method="lower")
    return {
        "total": int(values.sum()),
        **{name: int(value) for name, value in zip(QUANTILES, found, strict=True)},
    }


def balance(documents: Iterable[Document], labels: list[str]) -> dict[str, int]:
    """Documents that carry each label."""
    counts = Counter(label for document in documents for label in document.labels)
    return {label: counts[label] for label in labels}


def exact_duplicates(texts: Sequence[str]) -> int:
    """Texts that repeat an earlier one."""
    return len(texts) - len(set(texts))


def overlap(part: Sequence[str], train: Sequence[str], *, spaced: bool) -> dict[str, int]:
    """Documents of a held-out part that stand in train too, exactly or nearly."""
    grams = ngrams(part, spaced=spaced)
    near = HeldOut(grams).repeated_in(grams, train, spaced=spaced)
    known = set(train)
    exact = np.array([text in known for text in part], dtype=np.bool_)
    return {"exact": int(exact.sum()), "exact_or_near": int((exact | near).sum())}


def describe(documents: Sequence[Document], labels: list[str]) -> dict[str, Any]:
    """The audit of one part of a task."""
    texts = [document.text for document in documents]
    return {
        "documents": len(documents),
        "labels": balance(documents, labels),
        "characters": lengths([len(text) for text in texts]),
        "exact_duplicates": exact_duplicates(texts),
    }
