"""Misspelt names get the nearest known one, and every list stays readable."""

from pipeline.base.errors import suggest


def test_a_misspelt_name_gets_the_nearest_one_and_all_there_are() -> None:
    assert suggest("lable", ["text", "label"]) == 'did you mean "label"? (there is: label, text)'


def test_a_name_like_no_other_gets_the_list_alone() -> None:
    assert suggest("zzz", ["text", "label"]) == "there is: label, text"


def test_the_order_of_the_known_names_does_not_matter_and_repeats_count_once() -> None:
    assert suggest("c", ["b", "a", "b"]) == suggest("c", ["a", "b"]) == "there is: a, b"


def test_a_long_list_is_cut() -> None:
    listed = suggest("?", [f"column{number:03}" for number in range(500)])
    assert listed.endswith("column019, ...")


def test_nothing_known_is_said_too() -> None:
    assert suggest("label", []) == "there is: nothing"
