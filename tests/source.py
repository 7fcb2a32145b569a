"""The repository's own source, read with `ast`: which of our files a file imports, and all that follows from it."""

import ast
from collections.abc import Iterator
from functools import cache
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
ROOMS = ("pipeline", "stages", "benchmarks")


def sources(*folders: str) -> list[Path]:
    """All Python files under folders of the repository, as paths relative to its root."""
    return sorted(path.relative_to(ROOT) for folder in folders for path in (ROOT / folder).rglob("*.py"))


@cache
def tree(path: Path) -> ast.Module:
    """The parsed file; `path` is relative to the repository's root."""
    return ast.parse((ROOT / path).read_text(encoding="utf-8"), filename=str(path))


def is_empty(path: Path) -> bool:
    """Whether an `__init__.py` does nothing when it is imported.

    An empty file or a docstring cannot change what a stage writes. Nor can `pipeline/__init__.py`: it defines one
    `__getattr__`, which loads the public API when a user asks for it, and no stage may ask (see `imports`).
    """
    harmless = (ast.Expr, ast.FunctionDef, ast.Assign, ast.ImportFrom)
    if path == Path("pipeline/__init__.py"):
        return all(isinstance(node, harmless) for node in tree(path).body) and not list(_imported(path))
    return path.name == "__init__.py" and all(isinstance(node, ast.Expr) for node in tree(path).body)


@cache
def imports(path: Path) -> frozenset[Path]:
    """Our files that a file imports, at its top or in a function; not under `if TYPE_CHECKING`, which never runs."""
    return frozenset(_imported(path))


def closure(path: Path) -> frozenset[Path]:
    """The file, its packages and every file of ours that they import in turn, less those that do nothing."""
    found: set[Path] = set()
    new = set(_module(".".join(path.with_suffix("").parts), path))
    while new:
        found |= new
        new = {one for file in new for one in imports(file)} - found
    return frozenset(file for file in found if not is_empty(file))


def _imported(path: Path) -> Iterator[Path]:
    for node in _statements(tree(path)):
        if isinstance(node, ast.Import):
            for alias in node.names:
                yield from _module(alias.name, path)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}:{node.lineno}: import by the full name, not relatively"
            name = node.module or ""
            yield from _module(name, path)
            if name.split(".")[0] in ROOMS:
                for alias in node.names:
                    submodule = _file(f"{name}.{alias.name}")
                    if submodule:
                        yield submodule
                    else:
                        assert name != "pipeline", f"{path}:{node.lineno}: import `{alias.name}` from its own module"


def _module(name: str, importer: Path) -> Iterator[Path]:
    """The file of a dotted name and the packages above it, where it is ours."""
    parts = name.split(".")
    if parts[0] not in ROOMS:
        return
    for end in range(1, len(parts) + 1):
        file = _file(".".join(parts[:end]))
        if file:
            yield file
        else:
            # A folder without __init__.py is a package as well; a name without a file is a mistake.
            assert (ROOT / Path(*parts[:end])).is_dir(), f"{importer}: imports {name}, which does not exist"


def _file(name: str) -> Path | None:
    base = Path(*name.split("."))
    for candidate in (base.with_suffix(".py"), base / "__init__.py"):
        if (ROOT / candidate).is_file():
            return candidate
    return None


def _statements(node: ast.AST) -> Iterator[ast.AST]:
    """All nodes below, except under `if TYPE_CHECKING`."""
    for child in ast.iter_child_nodes(node):
        if isinstance(child, ast.If) and isinstance(child.test, ast.Name) and child.test.id == "TYPE_CHECKING":
            continue
        yield child
        yield from _statements(child)
