"""Preparing tasks and corpora: a function of content alone, held-out text apart, bad sets refused."""

import json
import random
from collections import Counter
from pathlib import Path
from typing import Any

import pyarrow.parquet
import pytest

from pipeline.base.errors import UserError
from pipeline.base.files import read_json
from pipeline.text.corpus import Task
from pipeline.text.overlap import HeldOut, ngrams
from tests.text.small import NO_TASK, corpus, task, write

CSV: dict[str, Any] = {"path": "csv", "data_files": {"train": "train.csv"}, "label": "label"}
LINES: dict[str, Any] = {"path": "text", "data_files": {"train": "train.txt"}}
RANDOM = random.Random(1)


def table(rows: list[tuple[str, str]]) -> str:
    """A csv of texts and labels."""
    return "text,label\n" + "".join(f'"{text}",{label}\n' for text, label in rows)


def rows(sizes: dict[str, int]) -> list[tuple[str, str]]:
    """So many distinct documents of each class, shuffled."""
    made = [(f"document {number} of class {label}", label) for label, size in sizes.items() for number in range(size)]
    return RANDOM.sample(made, len(made))


def document(words: int = 40) -> str:
    """A text like no other."""
    return " ".join(f"w{RANDOM.randrange(10**9)}" for _ in range(words))


def test_parts_labels_and_audit_of_a_cut_set(tmp_path: Path) -> None:
    write(tmp_path, "train.csv", table([*rows({"b": 50, "a": 30, "10": 20}), (" ", "a"), ("no label", "")]))
    parts = task(tmp_path, tmp_path / "out", **CSV, test=0.2, validation=10)
    assert {part: len(found) for part, found in parts.items()} == {"train": 70, "validation": 10, "test": 20}
    assert Counter(label for _, label in parts["test"]) == {"b": 10, "a": 6, "10": 4}
    assert read_json(tmp_path / "out/labels.json") == {
        "labels": ["10", "a", "b"],
        "multilabel": False,
        "text": ["text"],
        "max_characters": 1_000_000,
        "spaced": True,
        "transductive": False,
    }
    audit = read_json(tmp_path / "out/audit.json")
    assert audit["rows"]["train"]["dropped"] == {"blank text": 1, "no label": 1}
    assert audit["parts"]["test"]["labels"] == {"10": 4, "a": 6, "b": 10}
    assert audit["overlap_with_train"]["test"] == {"exact": 0, "exact_or_near": 0}


def test_a_task_is_the_same_bytes_in_any_folder_and_the_same_cut_in_any_order(tmp_path: Path) -> None:
    made = rows({"a": 60, "b": 60})
    for name, order in (("one", made), ("two", made), ("three", made[::-1])):
        write(tmp_path / name, "train.csv", table(order))
        task(tmp_path / name, tmp_path / name / "out", **CSV, test=0.25)
    for file in ("train.parquet", "validation.parquet", "test.parquet", "labels.json", "audit.json"):
        assert (tmp_path / "one/out" / file).read_bytes() == (tmp_path / "two/out" / file).read_bytes()
    tests = [pyarrow.parquet.read_table(tmp_path / name / "out/test.parquet")["text"] for name in ("one", "three")]
    assert set(tests[0].to_pylist()) == set(tests[1].to_pylist())


def test_few_labels_count_the_validation_documents_too(tmp_path: Path) -> None:
    write(tmp_path, "train.csv", table(rows({"a": 100, "b": 50})))
    parts = task(tmp_path, tmp_path / "out", **CSV, test=20, labels_per_class=10, validation=0.2)
    assert Counter(label for _, label in parts["train"] + parts["validation"]) == {"a": 10, "b": 10}
    assert len(parts["validation"]) == 4


def test_given_parts_are_kept_and_never_mixed(tmp_path: Path) -> None:
    files = {part: f"{part}.csv" for part in ("train", "validation", "test")}
    for part, file in files.items():
        write(tmp_path, file, table([(f"{part} {number}", "ab"[number % 2]) for number in range(20)]))
    parts = task(tmp_path, tmp_path / "out", path="csv", label="label", data_files=files, test=0.5)
    for part, found in parts.items():
        assert len(found) == 20
        assert all(text.startswith(part) for text, _ in found)


def test_copies_of_test_documents_in_a_given_train_part_are_in_the_audit(tmp_path: Path) -> None:
    texts = [document() for _ in range(20)]
    files = {"train": "train.csv", "test": "test.csv"}
    write(tmp_path, "train.csv", table([(text, "ab"[number % 2]) for number, text in enumerate(texts)]))
    held_out = [texts[0], texts[1].upper() + "!", texts[2] + " " + document(10), document()]
    write(tmp_path, "test.csv", table([(text, "ab"[number % 2]) for number, text in enumerate(held_out)]))
    task(tmp_path, tmp_path / "out", path="csv", label="label", data_files=files, validation=0)
    overlap = read_json(tmp_path / "out/audit.json")["overlap_with_train"]
    assert overlap["test"] == {"exact": 1, "exact_or_near": 3}


def test_several_labels_a_document_are_sorted_places(tmp_path: Path) -> None:
    made = [(f"document {number}", label) for number, label in enumerate(["b;a", "a", "b", "c;b", "c"] * 8)]
    write(tmp_path, "train.csv", table(made))
    parts = task(tmp_path, tmp_path / "out", **CSV, label_separator=";", test=0.2)
    assert dict(parts["train"] + parts["validation"] + parts["test"]) == {
        text: sorted(label.split(";")) for text, label in made
    }
    assert read_json(tmp_path / "out/labels.json")["multilabel"] is True


@pytest.mark.parametrize("language", ["korean", "chinese"])
def test_korean_and_chinese_are_prepared_as_they_are(language: str, tmp_path: Path) -> None:
    words = {
        "korean": ("배송이 늦어요 ", "환불해 주세요 ", "배송", "환불"),
        "chinese": ("包裹没有到", "请退款", "物流", "退款"),
    }
    late, refund, a, b = words[language]
    made = [(f"{text}{number}。", label) for number in range(20) for text, label in ((late, a), (refund, b))]
    write(tmp_path, "train.csv", table(made))
    parts = task(tmp_path, tmp_path / "out", **CSV, test=0.2, spaced=language == "korean")
    assert sorted(parts["train"] + parts["validation"] + parts["test"]) == sorted(made)
    assert read_json(tmp_path / "out/labels.json")["labels"] == sorted([a, b])


BAD: list[tuple[list[tuple[str, str]], list[tuple[str, str]] | None, str]] = [
    ([("x", "a"), ("y", "a")], None, "small.yaml: train has one class only (a)"),
    ([("x", "a"), ("y", "a"), ("z", "b")], None, 'small.yaml: class "b" has one example in train'),
    (
        [(str(n), label) for n, label in enumerate("aabcc")] + [("y", "d"), ("z", "e f")],
        None,
        'small.yaml: 3 classes have one example each in train ("b", "d", "e f"); add more or remove the classes',
    ),
    (
        [(str(n), f"c{n}") for n in range(30)],
        None,
        '"c0", "c1", "c10", "c11", "c12", "c13", "c14", "c15", "c16", "c17", ...); add more',
    ),
    (
        [(str(n), f"{n / 100}") for n in range(40)] + [("again", "0.3")],
        None,
        'small.yaml: the labels are numbers of which nearly all differ (40 in 41 documents, "0.0" for one); a task',
    ),
    (
        [(str(n), "ab"[n % 2]) for n in range(9)] + [("x", "a; b"), ("y", "b;a")],
        None,
        "if they are several labels each, `--separator ';'` of `ulmfit new-task`, `label_separator: ';'`",
    ),
    ([(" ", "a"), ("", "b")], None, "small.yaml: train keeps none of its 2 rows (blank text: 2)"),
    ([("x", ""), ("y", " ")], None, "small.yaml: train keeps none of its 2 rows (no label: 2)"),
    (rows({"a": 9, "b": 9}), [("x", "a"), ("y", "c")], 'small.yaml: test has the label "c", which train lacks'),
    (rows({"a": 9, "b": 9}), [(" ", "a")], "small.yaml: test keeps none of its 1 rows"),
]


@pytest.mark.parametrize(("train", "test", "message"), BAD)
def test_a_set_that_teaches_nothing_is_refused(
    train: list[tuple[str, str]], test: list[tuple[str, str]] | None, message: str, tmp_path: Path
) -> None:
    write(tmp_path, "train.csv", table(train))
    files = {"train": "train.csv"}
    if test is not None:
        write(tmp_path, "test.csv", table(test))
        files["test"] = "test.csv"
    with pytest.raises(UserError) as refused:
        task(tmp_path, tmp_path / "out", path="csv", label="label", data_files=files)
    assert message in str(refused.value)
    assert "\n" not in str(refused.value)


@pytest.mark.parametrize("labelled", [[("same", "a")] * 9 + [("other", "b")] * 9, rows({"a": 2, "b": 2})])
def test_a_test_part_that_is_asked_for_and_comes_out_empty_is_refused(
    labelled: list[tuple[str, str]], tmp_path: Path
) -> None:
    """Nothing would be measured. Validation documents are asked for by default, and a task does without."""
    write(tmp_path, "train.csv", table(labelled))
    with pytest.raises(UserError, match=r"small.yaml: no test document can be cut from the (18|4) of train, in which"):
        task(tmp_path, tmp_path / "out", **CSV, test=0.2)
    parts = task(tmp_path, tmp_path / "again", **CSV)
    assert {part: len(found) for part, found in parts.items()} == {"train": len(labelled), "validation": 0, "test": 0}


def test_a_task_without_labels_is_refused(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"small.yaml: the task needs labels"):
        task(tmp_path, tmp_path / "out", path="none")


def test_a_corpus_is_cut_by_content_exactly_and_keeps_its_order(tmp_path: Path) -> None:
    texts = [document(5) for _ in range(500)]
    write(tmp_path / "one", "train.txt", "\n".join(texts))
    write(tmp_path / "two", "train.txt", "\n".join(texts[::-1]))
    one = corpus(tmp_path / "one", tmp_path / "a", **LINES, validation=0.1)
    two = corpus(tmp_path / "two", tmp_path / "b", **LINES, validation=0.1)
    assert len(one["validation"]) == 50
    assert sorted(one["validation"]) == sorted(two["validation"])
    assert [text for text in texts if text in set(one["train"])] == one["train"]
    assert sorted(one["train"] + one["validation"]) == sorted(texts)
    assert not list((tmp_path / "a").glob("spool*"))


def test_copies_in_a_corpus_stay_together_and_are_counted(tmp_path: Path) -> None:
    texts = [f"text {number % 50}" for number in range(500)]
    write(tmp_path, "train.txt", "\n".join(texts))
    parts = corpus(tmp_path, tmp_path / "out", **LINES, validation=0.3)
    assert set(parts["train"]).isdisjoint(parts["validation"])
    audit = read_json(tmp_path / "out/audit.json")
    assert sum(audit["parts"][part]["exact_duplicates"] for part in parts) == 450


def test_max_documents_is_a_sample_of_the_whole_corpus_and_leaves_text_to_train_on(tmp_path: Path) -> None:
    write(tmp_path, "train.txt", "\n".join(f"text {number}" for number in range(5000)))
    parts = corpus(tmp_path, tmp_path / "out", **LINES, validation=0.1, max_documents=100)
    assert (len(parts["train"]), len(parts["validation"])) == (90, 10)
    assert max(int(text.split()[1]) for text in parts["train"]) > 4000


@pytest.mark.parametrize("validation", [0, 7])
def test_validation_may_be_a_number_or_none(validation: int, tmp_path: Path) -> None:
    write(tmp_path, "train.txt", "\n".join(f"text {number}" for number in range(50)))
    assert len(corpus(tmp_path, tmp_path / "out", **LINES, validation=validation)["validation"]) == validation


@pytest.mark.parametrize("values", [{"validation": 50}, {"validation": 600}, {"validation": 9, "max_documents": 9}])
def test_a_corpus_that_would_all_be_validation_is_refused(values: dict[str, int], tmp_path: Path) -> None:
    write(tmp_path, "train.txt", "\n".join(f"text {number}" for number in range(50)))
    size, of = values["validation"], values.get("max_documents", 50)
    with pytest.raises(UserError, match=f"small.yaml: {size} documents are to be cut from {of}; ask for fewer, or"):
        corpus(tmp_path, tmp_path / "out", **LINES, **values)


@pytest.mark.parametrize(("texts", "values"), [(1, {"validation": 5}), (2, {"validation": 0.9})])
def test_a_corpus_of_hardly_any_text_leaves_a_document_to_train_on(texts: int, values: Any, tmp_path: Path) -> None:
    write(tmp_path, "train.txt", "\n".join(f"text {number}" for number in range(texts)))
    assert len(corpus(tmp_path, tmp_path / "out", **LINES, **values)["train"]) == 1


def test_held_out_documents_and_near_copies_leave_every_part_of_a_corpus(tmp_path: Path) -> None:
    held_out = {part: [document() for _ in range(10)] for part in ("validation", "test")}
    others = [document() for _ in range(30)]
    copies = [*held_out["test"][:3], held_out["test"][3].upper(), held_out["validation"][0] + " " + document(20)]
    write(tmp_path, "train.txt", "\n".join(others[:20] + copies))
    write(tmp_path, "validation.txt", "\n".join([*others[20:], held_out["test"][5]]))
    known = Task({part: HeldOut(ngrams(texts)) for part, texts in held_out.items()}, True)
    files = {"train": "train.txt", "validation": "validation.txt"}
    parts = corpus(tmp_path, tmp_path / "out", known, path="text", data_files=files)
    assert parts == {"train": others[:20], "validation": others[20:]}
    assert read_json(tmp_path / "out/audit.json")["held_out_removed"] == {
        "train": {"validation": 1, "test": 4},
        "validation": {"validation": 0, "test": 1},
    }


def test_a_labelled_sets_own_validation_and_test_parts_stay_closed_to_a_corpus(tmp_path: Path) -> None:
    files = {part: f"{part}.csv" for part in ("train", "validation", "test")}
    for part, file in files.items():
        write(tmp_path, file, table([(f"{part} {number}", "ab"[number % 2]) for number in range(20)]))
    parts = corpus(tmp_path, tmp_path / "out", path="csv", data_files=files, label="label", validation=0.2)
    assert (len(parts["train"]), len(parts["validation"])) == (16, 4)
    assert all(text.startswith("train") for text in parts["train"] + parts["validation"])


def test_a_corpus_has_the_unlabelled_text_of_a_set_too_and_a_task_does_not(tmp_path: Path) -> None:
    labelled = [(f"labelled {number}", "ab"[number % 2]) for number in range(20)]
    write(tmp_path, "train.csv", table([*labelled, ("a row without its label", "")]))
    write(tmp_path, "more.csv", "text\n" + "".join(f"more {number}\n" for number in range(100)))
    given = {**CSV, "data_files": {"train": "train.csv", "unlabelled": "more.csv"}, "validation": 0}
    assert sum(map(len, task(tmp_path, tmp_path / "task", **given).values())) == 20
    parts = corpus(tmp_path, tmp_path / "corpus", **given)
    assert {text.split()[0] for text in parts["train"]} == {"labelled", "more", "a"}
    assert (len(parts["train"]), len(parts["validation"])) == (119, 2), "of a labelled set, 0 is about its labels"


def test_a_corpus_that_is_all_held_out_or_blank_is_refused(tmp_path: Path) -> None:
    texts = [document() for _ in range(3)]
    write(tmp_path, "train.txt", "\n".join([*texts, " "]))
    known = Task({"test": HeldOut(ngrams(texts))}, True)
    message = r"train keeps none of its 4 rows \(blank text: 1, repeating held-out documents of the task: 3\); choose"
    with pytest.raises(UserError, match=message):
        corpus(tmp_path, tmp_path / "out", known, **LINES)


def test_no_corpus_is_two_empty_parts(tmp_path: Path) -> None:
    assert corpus(tmp_path, tmp_path / "out", NO_TASK, path="none") == {"train": [], "validation": []}
    assert json.loads((tmp_path / "out/audit.json").read_text())["parts"]["train"]["documents"] == 0


def test_a_corpus_is_read_in_row_groups_of_bounded_size(tmp_path: Path) -> None:
    write(tmp_path, "train.txt", "\n".join("x" * 1_000_000 for _ in range(40)))
    corpus(tmp_path, tmp_path / "out", **LINES, validation=0)
    file = pyarrow.parquet.ParquetFile(tmp_path / "out/train.parquet")
    assert max(file.metadata.row_group(group).num_rows for group in range(file.num_row_groups)) <= 8
