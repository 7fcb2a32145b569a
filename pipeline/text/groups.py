"""Texts in lists of a bounded size, for work that goes faster on many at once."""

from collections.abc import Iterable, Iterator


def grouped(texts: Iterable[str], characters: int) -> Iterator[list[str]]:
    """Consecutive texts in lists of about `characters` characters, and of one text at least."""
    group: list[str] = []
    held = 0
    for text in texts:
        group.append(text)
        held += len(text)
        if held >= characters:
            yield group
            group, held = [], 0
    if group:
        yield group
