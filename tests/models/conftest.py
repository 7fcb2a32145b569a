"""A shape small enough for any test, with every part switched to something that can go wrong."""

from collections.abc import Callable
from typing import Any

import pytest

from pipeline.models.settings import TransformerSettings


@pytest.fixture
def tiny() -> Callable[..., TransformerSettings]:
    """Settings of 2 layers and width 32; keywords change single fields."""

    def make(**changes: Any) -> TransformerSettings:
        shape = {"layers": 2, "width": 32, "heads": 2, "feedforward": 64, "max_positions": 24, "qk_norm": True}
        return TransformerSettings(**{**shape, **changes})

    return make
