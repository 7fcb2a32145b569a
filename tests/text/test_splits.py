"""Parts are cut by content and seed alone: exact, stratified, and never with copies of a text on both sides."""

import random
from collections import Counter

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pipeline.base.errors import UserError
from pipeline.text.documents import Document
from pipeline.text.splits import cut, few, key, label_order, sample


def documents(**classes: int) -> list[Document]:
    """So many distinct documents of each class."""
    return [Document(f"{name} {number}", (name,)) for name, size in classes.items() for number in range(size)]


def test_a_cut_is_exact_and_keeps_the_classes_shares() -> None:
    rest, part = cut(documents(a=600, b=300, c=100), 100, seed=1)
    assert len(rest) == 900
    assert Counter(document.labels[0] for document in part) == {"a": 60, "b": 30, "c": 10}


def test_shares_that_do_not_come_out_even_still_add_up() -> None:
    _, part = cut(documents(a=7, b=7, c=7), 5, seed=1)
    assert sorted(Counter(document.labels[0] for document in part).values()) == [1, 2, 2]


def test_a_cut_does_not_depend_on_the_order_of_the_rows() -> None:
    pool = documents(a=50, b=50)
    shuffled = random.Random(3).sample(pool, len(pool))
    assert set(cut(pool, 20, seed=1)[1]) == set(cut(shuffled, 20, seed=1)[1])
    assert set(cut(pool, 20, seed=1)[1]) != set(cut(pool, 20, seed=2)[1])


def test_one_more_document_moves_hardly_any_other() -> None:
    pool = documents(a=100, b=100)
    before, after = cut(pool, 40, seed=1)[1], cut([*pool, Document("new", ("a",))], 40, seed=1)[1]
    assert len(set(before) - set(after)) <= 1


def test_rows_keep_their_order_on_both_sides() -> None:
    pool = documents(a=20, b=20)
    for side in cut(pool, 10, seed=1):
        assert side == sorted(side, key=pool.index)


def test_every_class_keeps_two_documents_to_learn_from() -> None:
    rest, part = cut(documents(a=40, b=3, c=2), 20, seed=1)
    counts = Counter(document.labels[0] for document in rest)
    assert (counts["b"], counts["c"]) >= (2, 2)
    assert len(part) == 20


def test_contradicting_copies_stay_in_train() -> None:
    pool = [*documents(a=10, b=10), Document("both", ("a",)), Document("both", ("b",))]
    assert all("both" not in {document.text for document in cut(pool, 8, seed)[1]} for seed in range(20))


@settings(max_examples=50, deadline=None)
@given(st.lists(st.tuples(st.integers(0, 30), st.sampled_from("abc")), min_size=12, max_size=80), st.integers(1, 6))
def test_no_text_is_ever_on_both_sides_and_none_is_lost(rows: list[tuple[int, str]], size: int) -> None:
    pool = [Document(str(text), (label,)) for text, label in rows]
    rest, part = cut(pool, size, seed=1)
    assert {document.text for document in rest}.isdisjoint(document.text for document in part)
    assert Counter(rest) + Counter(part) == Counter(pool)
    assert len(part) <= size


def test_cutting_more_than_there_is_is_refused() -> None:
    with pytest.raises(UserError, match="20 documents are to be cut from 20"):
        cut(documents(a=20), 20, seed=1)


def test_few_labels_are_exactly_so_many_of_each_class() -> None:
    kept = few(documents(a=40, b=30, c=5), 10, seed=1)
    assert Counter(document.labels[0] for document in kept) == {"a": 10, "b": 10, "c": 5}


def test_few_labels_are_those_of_the_first_keys_where_no_text_is_twice_and_no_label_missing() -> None:
    """The sample that results were made on."""
    pool = [*documents(a=40, b=30), *(Document(f"both {number}", ("a", "b")) for number in range(20))]
    kept, counts = set(), Counter()
    for document in sorted(pool, key=lambda document: key(document.text, 3)):
        if any(counts[label] < 7 for label in document.labels):
            kept.add(document)
            counts.update(document.labels)
    assert few(pool, 7, seed=3) == [document for document in pool if document in kept]


def test_a_text_with_many_copies_takes_one_label_of_its_class_while_there_are_others() -> None:
    pool = documents(a=30, b=30) + [Document("again and again", ("a",))] * 30
    for seed in range(10):
        assert Counter(few(pool, 10, seed))[Document("again and again", ("a",))] <= 1
    kept = few(documents(b=30) + [Document("again", ("a",))] * 5 + [Document("once", ("a",))], 3, seed=1)
    assert Counter(document.text for document in kept if "a" in document.labels) == {"again": 2, "once": 1}


def test_few_labels_of_several_a_document_keep_the_share_of_documents_without_any() -> None:
    labelled = [Document(f"text {number}", ("a", "b")[: 1 + number % 2]) for number in range(60)]
    pool = labelled + [Document(f"none {number}") for number in range(30)]
    kept = few(pool, 10, seed=1)
    with_labels = sum(bool(document.labels) for document in kept)
    assert with_labels < 30
    assert len(kept) - with_labels == round(with_labels / 2)
    assert set(kept) == set(few(pool[::-1], 10, seed=1))
    assert set(kept) < set(few(pool, 20, seed=1))


def test_more_labels_per_class_contain_the_fewer() -> None:
    pool = documents(a=40, b=40)
    assert set(few(pool, 5, seed=1)) < set(few(pool, 10, seed=1))


def test_few_labels_of_several_a_document_reach_every_class() -> None:
    pool = [Document(str(number), ("common", "rare") if number % 10 == 0 else ("common",)) for number in range(100)]
    counts = Counter(label for document in few(pool, 3, seed=1) for label in document.labels)
    assert counts["rare"] >= 3
    assert counts["common"] <= 6


def test_documents_of_several_labels_are_stratified_by_the_rarest() -> None:
    pool = [Document(str(number), ("common", "rare") if number % 10 == 0 else ("common",)) for number in range(100)]
    _, part = cut(pool, 20, seed=1)
    assert sum("rare" in document.labels for document in part) == 2


def test_a_sample_is_the_same_for_any_order() -> None:
    pool = documents(a=30)
    assert set(sample(pool, 7, 1)) == set(sample(pool[::-1], 7, 1))
    assert len(sample(pool, 7, 1)) == 7


def test_labels_that_are_numbers_are_in_the_order_of_their_values() -> None:
    assert label_order(["10", "2", "1"]) == ["1", "2", "10"]
    assert label_order(["10", "2", "x"]) == ["10", "2", "x"]


def test_labels_that_are_numbers_too_long_to_be_meant_are_words() -> None:
    long = "9" * 5000
    assert label_order([long, "10", "2"]) == ["10", "2", long]
    assert label_order(["9" * 18, "10", "2"]) == ["2", "10", "9" * 18]
