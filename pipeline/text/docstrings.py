"""Documentation strings of installed distributions, read from source with `ast`: nothing is imported or run."""

import ast
import gc
import multiprocessing
import os
import threading
import warnings
from collections.abc import Callable, Iterable
from concurrent.futures import ProcessPoolExecutor
from functools import partial
from importlib.metadata import Distribution
from pathlib import Path, PurePath

from pipeline.base.processors import usable_processors

# Tests, and copies of other projects, which would make one text look like several libraries'.
LEFT_OUT = frozenset(
    {"test", "tests", "testing", "_internal", "conftest.py", "_vendor", "_vendored", "vendor", "vendored", "external"}
    | {"externals", "extern", "_extern", "array_api_compat", "array_api_extra", "thirdparty", "third_party"}
)
FEW_FILES = 200  # read by this process alone: starting others would take longer


def source_files(distribution: Distribution) -> list[Path]:
    """The Python files of a distribution, sorted, without tests and vendored projects."""
    files = (file for file in distribution.files or () if file.suffix == ".py" and _wanted(file))
    return [Path(str(distribution.locate_file(file))) for file in sorted(files, key=lambda file: file.as_posix())]


def docstrings(path: Path) -> list[str]:
    """The docstrings of a file's module, classes and functions, in the order they stand in; cleaned.

    A file that this Python cannot parse (a newer syntax, a template) has none.
    """
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # invalid escapes in other people's code
            tree = ast.parse(path.read_bytes())
    except (SyntaxError, ValueError):
        return []
    found: list[str] = []
    _collect(tree, found)
    return [text for text in map(clean, found) if text]


def clean(text: str) -> str:
    """Remove the indentation that a docstring has from its place in the code.

    `inspect.cleandoc` does nearly this, but not the same in every Python.
    """
    lines = [line.rstrip() for line in text.expandtabs().splitlines()]
    margin = min((len(line) - len(line.lstrip()) for line in lines[1:] if line), default=0)
    return "\n".join([lines[0].lstrip(), *(line[margin:] for line in lines[1:])]).strip() if lines else ""


def read_all(files: list[Path], change: Callable[[str], str]) -> list[list[str]]:
    """`docstrings` of many files, each changed by a function; by one process a core, in the order of `files`."""
    read = partial(_read, change=change)
    cores = usable_processors()
    if len(files) < FEW_FILES or cores == 1:
        return list(map(read, files))
    context = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(cores, mp_context=context, initializer=_prepare_worker) as pool:
        return list(pool.map(read, files, chunksize=32))


def _read(path: Path, change: Callable[[str], str]) -> list[str]:
    return [change(text) for text in docstrings(path)]


def _wanted(file: PurePath) -> bool:
    return LEFT_OUT.isdisjoint(file.parts) and not file.name.startswith("test_")


def _collect(node: ast.Module | ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef, found: list[str]) -> None:
    match node.body:
        case [ast.Expr(value=ast.Constant(value=str(text))), *_]:
            found.append(text)
    for inner in _definitions(node.body):
        _collect(inner, found)


def _definitions(body: Iterable[ast.stmt]) -> Iterable[ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef]:
    """Classes and functions of a body, also under `if` and `try`."""
    for statement in body:
        if isinstance(statement, ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef):
            yield statement
        elif isinstance(statement, ast.If):
            yield from _definitions([*statement.body, *statement.orelse])
        elif isinstance(statement, ast.Try):
            handlers = [inner for handler in statement.handlers for inner in handler.body]
            yield from _definitions([*statement.body, *handlers, *statement.orelse, *statement.finalbody])


def _prepare_worker() -> None:
    """Settings of a worker: syntax trees make no garbage cycles, and a worker ends when its parent is gone."""
    gc.disable()
    parent = multiprocessing.parent_process()
    assert parent is not None

    def watch() -> None:
        parent.join()
        os._exit(1)

    threading.Thread(target=watch, name="end with parent", daemon=True).start()
