"""Pretrain, fine-tune and classify: the ULMFiT road with a Transformer.

`from pipeline import TextClassifier` loads a finished classifier; the rest of the library is imported room by room.
"""

from typing import Any

__all__ = ["TextClassifier", "UlmfitClassifier"]


def __getattr__(name: str) -> Any:
    # Late, so that a stage that needs one room does not import (or depend on) all of them.
    if name in __all__:
        from importlib import import_module

        return getattr(import_module("pipeline.api"), name)
    raise AttributeError(f"module 'pipeline' has no attribute {name!r}")
