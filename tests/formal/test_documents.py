"""The pages about algorithms and norms point at what is there."""

import ast
import re
from pathlib import Path

import pytest

from tests.source import ROOT, tree

PAGES = ["formal_algorithms.md", "layer_norm.md"]
LINK = re.compile(r"(?<!!)\[(?P<text>[^\]]+)\]\((?P<target>[^)]+)\)")


def links(page: str) -> list[tuple[str, str]]:
    """Texts and targets of the links into the repository; pictures are drawn by benchmarks and come later."""
    found = LINK.findall((ROOT / "docs" / page).read_text(encoding="utf-8"))
    return [(text, target) for text, target in found if not target.startswith("https://")]


def names(path: Path) -> set[str]:
    """Functions and classes of a file, and methods as Class.method."""
    found = set()
    for node in tree(path).body:
        if isinstance(node, ast.FunctionDef | ast.ClassDef):
            found.add(node.name)
        if isinstance(node, ast.ClassDef):
            found |= {f"{node.name}.{part.name}" for part in node.body if isinstance(part, ast.FunctionDef)}
    return found


@pytest.mark.parametrize("page", PAGES)
def test_every_link_leads_to_a_file_and_every_name_is_defined_in_it(page: str) -> None:
    wrong = []
    for text, target in links(page):
        path = (ROOT / "docs" / target).resolve()
        if not path.is_file():
            wrong.append(f"{target} is not there")
        elif path.suffix == ".py" and not text.strip("`").endswith(".py"):
            name = text.strip("`")
            wrong += [] if name in names(path.relative_to(ROOT)) else [f"{target} has no {name}"]
    assert links(page)
    assert wrong == []


def test_each_of_the_fifteen_algorithms_has_code_and_a_test() -> None:
    text = (ROOT / "docs/formal_algorithms.md").read_text(encoding="utf-8")
    rows = re.findall(r"^\| (\d+) \|[^|]+\|[^|]+\|([^|]+)\|([^|]+)\|$", text, flags=re.MULTILINE)
    assert [int(number) for number, _, _ in rows] == list(range(1, 16))
    for number, code, test in rows:
        assert "../pipeline/" in code, number
        assert "../tests/formal/" in test or test.strip() == "the same two", number
