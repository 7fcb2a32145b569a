"""Whether labels are classes that can be learnt: two or more, each with two examples or more, and no measurements."""

from collections import Counter
from collections.abc import Mapping

from pipeline.base.errors import UserError
from pipeline.text.splits import label_order

SEPARATORS = (";", "|", ",")
MANY = 0.1  # of the labels hold a separator that is worth a word
SHOWN = 10  # classes that a message names


def check_classes(counts: Counter[str], documents: int, where: str) -> None:
    """Refuse what nothing can be learnt from.

    Args:
        counts: examples of each class in train.
        documents: there.
        where: the config file, for messages.
    """
    names = label_order(counts)
    if len(names) < 2:
        raise UserError(
            f"{where}: train has one class only ({names[0] if names else 'none'}); a task needs two or more"
        )
    rare = [name for name in names if counts[name] == 1]
    if not rare:
        return
    if 2 * len(names) > documents and all(map(_is_number, names)):
        raise UserError(
            f'{where}: the labels are numbers of which nearly all differ ({len(names):,} in {documents:,} documents, "'
            f'{names[0]}" for one); a task needs classes, so write one for each range of numbers'
        )
    separator = likely_separator(counts)
    hint = f"; if they are several labels each, {_words(separator)}" if separator else ""
    if len(rare) == 1:
        raise UserError(f'{where}: class "{rare[0]}" has one example in train; add more or remove the class{hint}')
    listed = ", ".join(f'"{name}"' for name in rare[:SHOWN]) + (", ..." if len(rare) > SHOWN else "")
    raise UserError(
        f"{where}: {len(rare)} classes have one example each in train ({listed}); add more or remove the classes{hint}"
    )


def likely_separator(counts: Mapping[str, int]) -> str | None:
    """What seems to stand between several labels in one: many hold it, and split by it there are fewer.

    >>> likely_separator({"billing": 5, "login": 5, "login; billing": 3, "billing; login": 2})
    ';'
    >>> likely_separator({"Oslo, Norway": 5, "Lima, Peru": 5})
    """
    for separator in SEPARATORS:
        holding = sum(count for label, count in counts.items() if separator in label)
        parts = {part.strip() for label in counts for part in label.split(separator)} - {""}
        if holding >= MANY * sum(counts.values()) and holding and len(parts) < len(counts):
            return separator
    return None


def _words(separator: str) -> str:
    return f"`--separator '{separator}'` of `ulmfit new-task`, `label_separator: '{separator}'` of a config"


def _is_number(label: str) -> bool:
    try:
        float(label)
    except ValueError:
        return False
    return True
