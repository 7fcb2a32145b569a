"""Progress of a stage: a bar where there is a terminal, a plain line every few seconds where there is none."""

import os
import sys
import time
from collections.abc import Iterable, Iterator
from types import TracebackType
from typing import Self, TypeVar

Item = TypeVar("Item")
PLAIN_LINE_EVERY = 10.0  # seconds between two plain lines
REFRESH_EVERY = 0.2  # seconds between two draws of the bar


def seconds(span: float) -> str:
    """A time span as people write it: 42s, 3m05s, 2h04m.

    >>> seconds(185), seconds(7440)
    ('3m05s', '2h04m')
    """
    span = max(0, round(span))
    if span < 60:
        return f"{span}s"
    if span < 3600:
        return f"{span // 60}m{span % 60:02d}s"
    return f"{span // 3600}h{span % 3600 // 60:02d}m"


def quantity(number: float) -> str:
    """A count with three digits: 950, 12.3k, 4.56M."""
    for size, unit in ((1e12, "T"), (1e9, "G"), (1e6, "M"), (1e3, "k")):
        if abs(number) >= size:
            return f"{number / size:.3g}{unit}"
    return f"{number:.3g}"


class Progress:
    """Counts work done against work in all, with rate, time left and a few named values.

    Used as a context manager; `update` may be called as often as wanted, it draws rarely.
    """

    def __init__(self, title: str, total: float | None, unit: str = "") -> None:
        self.title, self.total, self.unit = title, total, unit
        self.done = 0.0
        self.started = self.drawn = time.monotonic()
        self.counted = 0.0  # done since the start of this process, which a resumed run needs for its rate
        self.terminal = sys.stderr.isatty()
        self.width = 0

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._draw(last=kind is None)
        if self.terminal and kind is not None:
            print(file=sys.stderr)  # what went wrong is said on a line of its own

    def resume_at(self, done: float) -> None:
        """Begin with work that an earlier run has done; it does not count in the rate."""
        self.done = done

    def update(self, amount: float = 1, **values: str) -> None:
        """Count `amount` more; `values` are shown as `name value`."""
        self.done += amount
        self.counted += amount
        self.values = values
        now = time.monotonic()
        if now - self.drawn >= (REFRESH_EVERY if self.terminal else PLAIN_LINE_EVERY):
            self.drawn = now
            self._draw(last=False)

    values: dict[str, str] = {}

    def _draw(self, last: bool) -> None:
        spent = max(1e-9, time.monotonic() - self.started)
        rate = self.counted / spent
        parts = [f"{quantity(self.done)}{'/' + quantity(self.total) if self.total else ''} {self.unit}".strip()]
        parts += [f"{name} {value}" for name, value in self.values.items()]
        if self.counted:
            parts.append(f"{quantity(rate)} {self.unit or 'it'}/s")
        if last:
            parts.append(f"took {seconds(spent)}")
        elif self.total and rate:
            parts.append(f"{seconds((self.total - self.done) / rate)} left")
        share = min(1.0, self.done / self.total) if self.total else None
        if not self.terminal:
            percent = f"{share:4.0%} " if share is not None else ""
            print(f"  {self.title}: {percent}{' | '.join(parts)}", file=sys.stderr, flush=True)
            return
        bar = "" if share is None else "█" * round(24 * share) + "░" * (24 - round(24 * share)) + " "
        columns = os.get_terminal_size(sys.stderr.fileno()).columns or 80  # some terminals do not know theirs
        line = f"  {self.title}  {bar}{' · '.join(parts)}"[: columns - 1]
        sys.stderr.write("\r" + line.ljust(self.width) + ("\n" if last else ""))
        sys.stderr.flush()
        self.width = len(line)


def track(items: Iterable[Item], title: str, total: float | None = None, unit: str = "") -> Iterator[Item]:
    """Iterate with a bar, one count per item."""
    with Progress(title, total, unit) as progress:
        for item in items:
            yield item
            progress.update()
