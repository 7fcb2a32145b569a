"""Texts in lists of a bounded size, for work that goes faster on many at once, and such work one list ahead."""

from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from typing import TypeVar

Item = TypeVar("Item")
Made = TypeVar("Made")


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
    """What `work` makes of each item, in order, one ahead: in a thread, while what it made of the one before is used.

    Worth it where the work lets other threads of Python run, as that of `tokenizers` does. Three items exist at a
    time: one whose result is used, one at work, and the next, so that the work never waits for it.
    """
    with ThreadPoolExecutor(1) as thread:
        before: Future[Made] | None = None
        for item in items:
            following = thread.submit(work, item)
            if before is not None:
                yield before.result()
            before = following
        if before is not None:
            yield before.result()
