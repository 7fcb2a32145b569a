"""What the language models wrote when they were trained, as the page shows it."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pipeline.base.files import read_json


@dataclass(frozen=True)
class Sample:
    """A text of which the model wrote the middle part, or with nothing after it the end."""

    how: str
    before: str
    written: str
    after: str


def read_samples(folder: Path) -> list[Sample]:
    """The samples in a results folder; none where its stage has none."""
    path = folder / "samples.json"
    found = read_json(path) if path.is_file() else []
    return [Sample(_how(one), one["before"], one["written"], one["after"]) for one in found]


def _how(sample: Mapping[str, Any]) -> str:
    if sample["how"] != "gap":
        return str(sample["how"])
    first, *others = (f"“{guess['text']}” {guess['probability']:.1%}" for guess in sample["guesses"])
    also = f", then {', '.join(others)}" if others else ""
    return f"gap, filled with {first}{also}; the text has “{sample['original']}”"
