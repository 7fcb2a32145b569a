"""Texts in lists of a bounded size, for work that goes faster on many at once, and such work one list ahead."""

from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

Item = TypeVar("Item")


def grouped(items: Iterable[Item], characters: int, length: Callable[[Item], int] = len) -> Iterator[list[Item]]:  # type: ignore[assignment]
    """Consecutive texts in lists of about `characters` characters, and of one text at least.

    Items that hold a text say by `length` how long theirs is.
    """
    group: list[Item] = []
    held = 0
    for item in items:
        group.append(item)
        held += length(item)
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
