"""What is done to a text before our tokenizer reads it, as the first normalizers of a tokenizer.json.

`transformers` hands a text to the tokenizer as it is, so the one that goes out with a classifier cleans it itself:
Unix line ends, and no blank edges. A language model reads pieces of text, whose edges count, and has none of it.
"""

from typing import Any

# What Python's `strip` takes; Unicode's white space lacks the four separators of ASCII.
BLANK = r"[\s\x1c-\x1f]"
# Looked at from its first sign alone, a long run of spaces within a text costs no more than its length.
EDGES = rf"\A{BLANK}+|(?<!{BLANK}){BLANK}+\z"
STEPS = [
    {"type": "Replace", "pattern": {"String": "\r\n"}, "content": "\n"},
    {"type": "Replace", "pattern": {"String": "\r"}, "content": "\n"},
    {"type": "Replace", "pattern": {"Regex": EDGES}, "content": ""},
]


def with_cleaning(normalizer: dict[str, Any] | None) -> dict[str, Any]:
    """The normalizer of a tokenizer.json with the cleaning before it."""
    return {"type": "Sequence", "normalizers": [*STEPS, *([] if normalizer is None else [normalizer])]}


def without_cleaning(normalizer: dict[str, Any] | None) -> dict[str, Any] | None:
    """What `with_cleaning` was given; any other normalizer as it is."""
    steps = normalizer.get("normalizers", []) if normalizer else []
    if steps[: len(STEPS)] != STEPS:
        return normalizer
    return next(iter(steps[len(STEPS) :]), None)
