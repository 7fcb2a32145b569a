"""The embedded set: docstrings of pinned distributions, read without importing them, names hidden, tasks kept apart."""

import re
from pathlib import Path

import pytest

from pipeline.base.errors import UserError
from pipeline.config.dataset import EMBEDDED_PARTS
from pipeline.text import docstrings, embedded
from pipeline.text.docstrings import clean
from pipeline.text.embedded import PARTS, read_embedded
from pipeline.text.libraries import ALIASES, DEVELOPMENT, MASK, NAMES, OTHERS, SAMPLE, SAMPLE_DOMAIN, TASK, mask
from pipeline.text.lock import locked_versions, pinned
from pipeline.text.overlap import HeldOut, ngrams

REPOSITORY = Path(__file__).resolve().parents[2]
WORDS = ["matrix", "vector", "graph", "frame", "solve", "sparse", "index", "merge", "plot", "axis", "cache", "query"]

SOURCE = '''\
"""Module."""
try:
    class A:
        """Class."""
        async def f(self):
            """Method."""
        def g(self): "not \\d escaped"
except ImportError:
    def h():
        """Fall back."""
x = """No."""
'''


def sentence(library: str, number: int, words: int = 60) -> str:
    """Text that no other library and number has."""
    return " ".join(f"{WORDS[(number * 7 + place) % len(WORDS)]}{library}{number * place}" for place in range(words))


def install(site: Path, name: str, files: dict[str, str], version: str = "1.0") -> None:
    """Write a distribution as pip leaves it in site-packages."""
    info = site / f"{name}-{version}.dist-info"
    for path, source in files.items():
        (site / path).parent.mkdir(parents=True, exist_ok=True)
        (site / path).write_text(source, encoding="utf-8")
    info.mkdir(parents=True)
    (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n", encoding="utf-8")
    (info / "RECORD").write_text("".join(f"{path},,\n" for path in files), encoding="utf-8")


@pytest.fixture
def tree(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Two task libraries and one other; every module would fail if it were imported."""
    monkeypatch.setattr(
        embedded, "PARTS", {"generic": (("gamma",), ("alpha", "beta")), "domain": (("alpha", "beta"), ()),
                            "task": (("alpha", "beta"), ())}
    )  # fmt: skip
    shared = f'"""{sentence("shared", 1)}"""\n'
    copied = f'def of_alpha():\n    """{sentence("alpha", 1)} and a few more words of its own."""\n'
    for name, sizes in (("alpha", 5), ("beta", 4), ("gamma", 3)):
        source = "".join(f'def f{n}():\n    """{sentence(name, n)}"""\n' for n in range(sizes))
        install(
            tmp_path / "site",
            name,
            {
                f"{name}/__init__.py": f'"""Short."""\nraise RuntimeError("imported")\n{source}',
                f"{name}/shared.py": shared + (copied if name == "gamma" else ""),
                f"{name}/tests/test_f.py": f'"""{sentence(name + "test", 1)}"""\n',
                f"{name}/_vendor/other.py": f'"""{sentence("vendor", 1)}"""\n',
                f"{name}/broken.py": "def (\n",
                f"{name}/data.txt": "no code",
            },
        )
    (tmp_path / "requirements.lock").write_text("alpha==1.0\nbeta==1.0\ngamma==1.0\n", encoding="utf-8")
    return tmp_path


def read(tree: Path, part: str) -> list[tuple[str, str]]:
    """(text, library) of each row of a part."""
    rows = read_embedded(part, tree / "requirements.lock", [str(tree / "site")])
    return [(row.values["text"], row.values["label"]) for row in rows]


def test_the_domain_is_each_text_of_the_tasks_libraries_once(tree: Path) -> None:
    expected = [(sentence("alpha", n), "alpha") for n in range(5)] + [(sentence("shared", 1), "alpha")]
    expected += [(sentence("beta", n), "beta") for n in range(4)]
    assert read(tree, "domain") == expected


def test_a_docstring_of_several_libraries_is_not_in_the_task_and_classes_are_equal(tree: Path) -> None:
    texts = read(tree, "task")
    assert sentence("shared", 1) not in [text for text, _ in texts]
    assert [label for _, label in texts] == ["alpha"] * 4 + ["beta"] * 4


def test_the_generic_corpus_holds_nothing_that_touches_a_task_library(tree: Path) -> None:
    assert read(tree, "generic") == [(sentence("gamma", n), "gamma") for n in range(3)]


def test_nothing_depends_on_processes_or_installation_order(tree: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    before = {part: read(tree, part) for part in ("generic", "domain", "task")}
    record = tree / "site/alpha-1.0.dist-info/RECORD"
    record.write_text("".join(sorted(record.read_text().splitlines(keepends=True), reverse=True)))
    monkeypatch.setattr(docstrings, "FEW_FILES", 0)  # several processes
    assert {part: read(tree, part) for part in before} == before


def test_another_version_than_the_locks_is_refused_with_the_remedy(tree: Path) -> None:
    (tree / "requirements.lock").write_text("alpha==1.0\nbeta==2.0\ngamma==1.0\n")
    with pytest.raises(UserError, match=r"beta 1.0 is installed and .*requirements.lock pins 2.0; run `make install`"):
        read(tree, "task")


def test_a_distribution_that_is_not_there_or_not_pinned_is_refused(tree: Path) -> None:
    lock = tree / "requirements.lock"
    with pytest.raises(UserError, match="does not pin delta"):
        pinned(["delta"], lock, [str(tree / "site")])
    lock.write_text("delta==1.0\n")
    with pytest.raises(UserError, match=r"delta is not installed and .* pins 1\.0"):
        pinned(["delta"], lock, [str(tree / "site")])


def test_a_lock_file_may_hold_all_that_pip_writes(tmp_path: Path) -> None:
    lock = tmp_path / "requirements.lock"
    lock.write_text(
        "# comment\n--index-url https://example.org\ntorch==2.13.0+cpu\nruamel.yaml==0.19.1 ; python_version < '4'\n"
        "dvc[s3]==3.67.1  # why\nNumPy==2.4.6 \\\n    --hash=sha256:00\nlocal @ file:///x\n    # via numpy==1\n"
    )
    assert locked_versions(lock) == {"torch": "2.13.0", "ruamel-yaml": "0.19.1", "dvc": "3.67.1", "numpy": "2.4.6"}


def test_the_repositorys_lock_pins_every_library_and_the_schema_knows_every_part() -> None:
    versions = locked_versions(REPOSITORY / "requirements.lock")
    libraries = TASK + DEVELOPMENT + OTHERS
    assert len(set(libraries)) == len(libraries)
    assert set(SAMPLE + SAMPLE_DOMAIN) <= set(OTHERS)
    for library in libraries:
        assert re.sub(r"[-_.]+", "-", library).lower() in versions
    assert set(PARTS) == set(EMBEDDED_PARTS)


@pytest.mark.parametrize(
    ("text", "masked"),
    [
        ("import numpy as np; np.array", f"import {MASK} as {MASK}; {MASK}.array"),
        ("NumPy, SciPy and scikit-learn's sklearn", f"{MASK}, {MASK} and {MASK}'s {MASK}"),
        ("PyTorch's torch.Tensor, TorchScript", f"{MASK}'s {MASK}.Tensor, {MASK}"),
        ("from_numpy(torch_dtype)", f"from_{MASK}({MASK}_dtype)"),
        ("nx.Graph, pd.DataFrame, plt.plot", f"{MASK}.Graph, {MASK}.DataFrame, {MASK}.plot"),
        ("Hugging Face, huggingface_hub", f"{MASK}, {MASK}_hub"),
        (
            "an NP-complete problem, inp = npy, expand, torchbearer",
            "an NP-complete problem, inp = npy, expand, library",
        ),
    ],
)
def test_names_and_aliases_are_hidden_and_other_words_are_not(text: str, masked: str) -> None:
    assert mask(text) == masked


def test_every_class_of_both_tasks_is_hidden() -> None:
    for library in TASK + DEVELOPMENT:
        assert library not in mask(f"see {library} and {library.upper()}")
        assert MASK not in f"{NAMES}|{ALIASES}"


def test_a_docstring_loses_the_indentation_of_its_place_alone() -> None:
    assert (
        clean("First line.\n\n        Second.\n            Deeper.\n        ") == "First line.\n\nSecond.\n    Deeper."
    )
    assert clean("\tTab\n\tmore") == "Tab\nmore"
    assert clean("") == ""


def test_docstrings_of_modules_classes_methods_and_guarded_functions_are_read_in_order(tmp_path: Path) -> None:
    path = tmp_path / "a.py"
    path.write_text(SOURCE)
    assert docstrings.docstrings(path) == ["Module.", "Class.", "Method.", "not \\d escaped", "Fall back."]


def test_no_document_of_the_tasks_libraries_can_ask_the_generic_corpus_to_change(tree: Path) -> None:
    generic = ngrams(text for text, _ in read(tree, "generic"))
    for text, _ in read(tree, "domain"):
        assert not HeldOut(ngrams([text])).near_duplicates(generic).any()


def test_the_sample_parts_are_read_from_this_installation() -> None:
    texts = [row.values["text"] for row in read_embedded("sample_domain", REPOSITORY / "requirements.lock")]
    assert len(texts) > 300
    assert len(set(texts)) == len(texts)
