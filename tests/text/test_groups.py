"""Work that goes ahead of its use: in order, and no more of it at a time than memory was planned for."""

from collections.abc import Iterator

from pipeline.text.groups import AHEAD, ahead, grouped


def test_work_goes_ahead_in_order_and_not_too_far() -> None:
    taken: list[int] = []

    def items() -> Iterator[int]:
        for number in range(50):
            taken.append(number)
            yield number

    for used, made in enumerate(ahead(lambda number: number * number, items())):
        assert made == used * used
        assert len(taken) <= used + 1 + AHEAD + 1


def test_groups_hold_every_text_once_and_little_more_than_asked_for() -> None:
    texts = ["a" * length for length in (3, 0, 9, 1, 1, 30, 2)]
    groups = list(grouped(texts, 10))
    assert [text for group in groups for text in group] == texts
    assert all(sum(map(len, group[:-1])) < 10 for group in groups)
