"""Texts in lists of a bounded size, for work that goes faster on many at once, and such work ahead of its use."""

from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from typing import TypeVar

Item = TypeVar("Item")
Made = TypeVar("Made")
AHEAD = 2  # results that wait to be used, or are at work, while one is used


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


def ahead(work: Callable[[Item], Made], items: Iterable[Item]) -> Iterator[Made]:
    """What `work` makes of each item, in order, two ahead: in a thread, while what it made of those before is used.

    Worth it where the work lets other threads of Python run, as that of `tokenizers` does. Four items exist at a time:
    one whose result is used, one that waits to be used, one at work, and the next. So the work waits neither for items
    nor for whoever uses its results.
    """
    made: deque[Future[Made]] = deque()
    with ThreadPoolExecutor(1) as thread:
        for item in items:
            made.append(thread.submit(work, item))
            if len(made) > AHEAD:
                yield made.popleft().result()
        while made:
            yield made.popleft().result()
