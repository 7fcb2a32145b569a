"""Texts in lists of a bounded size, for work that goes faster on many at once, and such work one list ahead."""

from collections.abc import Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

Item = TypeVar("Item")


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


def ahead(items: Iterator[Item]) -> Iterator[Item]:
    """The same items in the same order, each made in a thread while the one before it is used.

    Worth it where making them lets other threads of Python run, as `tokenizers` does. Two exist at a time.
    """
    end = object()
    with ThreadPoolExecutor(1) as thread:
        following = thread.submit(next, items, end)
        while (item := following.result()) is not end:
            following = thread.submit(next, items, end)
            yield item  # type: ignore[misc]
