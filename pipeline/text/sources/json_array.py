"""json files that hold an array of objects, alone or under the key "data"; streamed object by object."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any, TextIO

from pipeline.base.errors import UserError
from pipeline.text.sources.files import open_text
from pipeline.text.sources.row import Row

BLOCK = 1 << 16  # characters read at a time, at first
EDGE = 16  # characters before the window's end: more than can be cut there, of a number, a word or an escape


def read_json_array(path: Path) -> Iterator[Row]:
    """Stream the objects of `[{...}, ...]` or `{"data": [{...}, ...], ...}`."""
    with open_text(path) as text:
        yield from read_objects(text, str(path))


def read_objects(text: TextIO, name: str) -> Iterator[Row]:
    """Stream the objects of such an array as it is read; `name` is for messages."""
    scan = _Scanner(text, name)
    if scan.peek() == "":
        raise UserError(f"{name}: is empty; it needs an array of objects")
    inside = scan.peek() == "{"
    if inside:
        _find_data(scan)
    if scan.peek() != "[":
        scan.fail('is neither an array of objects nor an object with an array under "data"')
    scan.take("[")
    number = 0
    while scan.peek() != "]":
        number += 1
        value = scan.value()
        if not isinstance(value, dict):
            scan.fail(f"element {number} is not an object")
        yield Row(value, name, "row", number)
        if scan.peek() == ",":
            scan.take(",")
        elif scan.peek() != "]":
            scan.fail("expected `,` or `]` after an element")
    scan.take("]")
    if inside:
        _leave_data(scan)
    if scan.peek() != "":
        scan.fail("goes on after its object" if inside else "goes on after its array")
    if number == 0:
        raise UserError(f"{name}: holds an empty array; it needs one object a document")


def _find_data(scan: "_Scanner") -> None:
    """Move to the value of the key "data", over the values of keys before it."""
    scan.take("{")
    while scan.peek() == '"':
        key = scan.value()
        scan.take(":")
        if key == "data":
            return
        scan.value()
        if scan.peek() == ",":
            scan.take(",")
    scan.fail('has no key "data" with an array of objects')


def _leave_data(scan: "_Scanner") -> None:
    """Move behind the object, over the keys after "data" and their values."""
    while scan.peek() == ",":
        scan.take(",")
        if scan.peek() != '"':
            scan.fail("expected a key after `,`")
        if scan.value() == "data":
            scan.fail('has the key "data" twice')
        scan.take(":")
        scan.value()
    scan.take("}")


class _Scanner:
    """A window on JSON text that grows until the next value fits."""

    def __init__(self, text: TextIO, name: str) -> None:
        self.text, self.name = text, name
        self.decoder = json.JSONDecoder()
        self.window, self.at, self.line = "", 0, 1
        self.block, self.ended = BLOCK, False

    def peek(self) -> str:
        """The next character that is not white space; "" at the end."""
        while True:
            while self.at < len(self.window) and self.window[self.at] in " \t\r\n":
                self.at += 1
            if self.at < len(self.window):
                return self.window[self.at]
            if not self._grow():
                return ""

    def take(self, character: str) -> None:
        """Step over one expected character."""
        if self.peek() != character:
            self.fail(f"expected `{character}`")
        self.at += 1

    def value(self) -> Any:
        """Decode the next value."""
        self.peek()
        while True:
            try:
                value, end = self.decoder.raw_decode(self.window, self.at)
                # A number at the window's edge may go on beyond it.
                if end < len(self.window) or not self._grow():
                    self.at = end
                    self.block = BLOCK
                    return value
            except json.JSONDecodeError as error:
                place = error.pos - self.at  # the window grows from what is read
                # What more text cannot mend is told at once: a file may be of many gigabytes.
                cut = error.pos >= len(self.window) - EDGE or error.msg.startswith("Unterminated string")
                if not (cut and self._grow()):
                    self.at += place
                    self.fail(f"is not JSON ({error.msg})")
            except (ValueError, RecursionError) as error:  # a number of thousands of digits, thousands of brackets
                self.fail(f"cannot be read ({error})")

    def fail(self, what: str) -> None:
        """Refuse the file, with the line of the place reached."""
        line = self.line + self.window.count("\n", 0, self.at)
        raise UserError(f"{self.name}: line {line}: {what}; mend the file or write one object a line (jsonl)")

    def _grow(self) -> bool:
        """Drop what is read, add a block; blocks double while one value does not fit, so that work stays linear."""
        self.line += self.window.count("\n", 0, self.at)
        more = self.text.read(self.block)
        self.window, self.at = self.window[self.at :] + more, 0
        self.block *= 2
        return bool(more)
