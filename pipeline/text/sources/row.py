"""One row of a source: named values and the place they were read from, for messages."""

from typing import Any, NamedTuple


class Row(NamedTuple):
    """Values by column name. `number` counts from 1 in units of `unit` ("line" or "row") within `file`."""

    values: dict[str, Any]
    file: str
    unit: str
    number: int

    @property
    def where(self) -> str:
        """The place as messages write it: `tickets.csv: line 12`."""
        return f"{self.file}: {self.unit} {self.number}"
