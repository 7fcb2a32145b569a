"""Parts cut from a labelled set: stratified, of exact size, a function of the documents' content and a seed alone."""

import hashlib
from collections import Counter, defaultdict
from collections.abc import Iterable

from pipeline.base.errors import UserError
from pipeline.text.documents import LONGEST_NUMBER, Document


def key(text: str, seed: int) -> int:
    """A 64-bit number that orders texts at random by content and seed, on every machine alike."""
    return int.from_bytes(hashlib.blake2b(text.encode("utf-8"), digest_size=8, key=b"%d" % seed).digest(), "little")


def size_of(amount: float | int, documents: int) -> int:
    """Documents that a config's share or number asks for: a share is rounded, to one at least.

    >>> size_of(0.1, 5), size_of(0.25, 8), size_of(3, 100), size_of(0, 100)
    (1, 2, 3, 0)
    """
    return amount if isinstance(amount, int) else max(1, round(amount * documents))


def refuse_all(size: int, documents: int) -> None:
    """A `UserError` where so many documents are no part of all, but all of them or more."""
    if size >= documents:
        raise UserError(f"{size} documents are to be cut from {documents}; ask for fewer, or for a share such as 0.1")


def strata(documents: list[Document]) -> list[str]:
    """The class that each document is stratified by: its label; of several, the rarest; "" without any."""
    counts = Counter(label for document in documents for label in document.labels)
    return [min(document.labels, key=lambda label: (counts[label], label), default="") for document in documents]


def cut(documents: list[Document], size: int, seed: int) -> tuple[list[Document], list[Document]]:
    """Cut `size` documents off; returns (rest, cut off), both in the order given.

    Each class gives its share of documents (largest remainders are rounded up) and keeps two at least. All copies
    of a text fall on one side; a text with contradicting labels stays in the rest.
    """
    if size == 0:
        return documents, []
    refuse_all(size, len(documents))
    classes = strata(documents)
    copies: dict[str, list[int]] = defaultdict(list)
    for place, document in enumerate(documents):
        copies[document.text].append(place)
    groups: dict[str, list[list[int]]] = defaultdict(list)
    for places in copies.values():
        if len({documents[place].labels for place in places}) == 1:
            groups[classes[places[0]]].append(places)
    taken: set[int] = set()
    for name, quota in _quotas(Counter(classes), size).items():
        for places in sorted(groups[name], key=lambda places: key(documents[places[0]].text, seed)):
            if len(places) <= quota:
                taken.update(places)
                quota -= len(places)
    rest = [document for place, document in enumerate(documents) if place not in taken]
    return rest, [document for place, document in enumerate(documents) if place in taken]


def few(documents: list[Document], per_class: int, seed: int) -> list[Document]:
    """Keep `per_class` documents of each class, a sample by seed, in the order given.

    Each text is taken once before its copies. Of several labels, a document counts for each; it is kept while one of
    its labels wants more. Documents without a label are kept in the proportion that the pool has of them.
    """
    order = _copies_last(documents, seed)
    labelled = [place for place in order if documents[place].labels]
    counts: Counter[str] = Counter()
    kept = set()
    for place in labelled:
        labels = documents[place].labels
        if any(counts[label] < per_class for label in labels):
            kept.add(place)
            counts.update(labels)
    unlabelled = [place for place in order if not documents[place].labels]
    kept.update(unlabelled[: round(len(unlabelled) * len(kept) / max(1, len(labelled)))])
    return [document for place, document in enumerate(documents) if place in kept]


def _copies_last(documents: list[Document], seed: int) -> list[int]:
    """Places in an order by seed: all texts once, then those that stand twice once more, and so on."""
    seen: Counter[str] = Counter()
    ranks = []
    for place, document in enumerate(documents):
        ranks.append((seen[document.text], key(document.text, seed), place))
        seen[document.text] += 1
    return [place for *_, place in sorted(ranks)]


def sample(documents: list[Document], size: int, seed: int) -> list[Document]:
    """At most `size` documents, by seed, in the order given."""
    order = sorted(range(len(documents)), key=lambda place: (key(documents[place].text, seed), place))
    return [documents[place] for place in sorted(order[:size])]


def label_order(labels: Iterable[str]) -> list[str]:
    """Labels sorted; by value where all are whole numbers.

    >>> label_order(["10", "9", "-1"]), label_order(["b", "10", "9"])
    (['-1', '9', '10'], ['10', '9', 'b'])
    """
    labels = set(labels)
    numbers = all(label.removeprefix("-").isdecimal() and len(label) <= LONGEST_NUMBER for label in labels)
    return sorted(labels, key=lambda label: (int(label), label)) if numbers else sorted(labels)


def _quotas(counts: Counter[str], size: int) -> dict[str, int]:
    """Share out `size` over the classes in proportion, exactly, so that each keeps two documents where it can."""
    total = sum(counts.values())
    most = {name: max(0, count - 2) for name, count in counts.items()}
    quotas = {name: min(most[name], size * count // total) for name, count in counts.items()}
    by_remainder = sorted(counts, key=lambda name: (-(size * counts[name] % total), name))
    while (missing := size - sum(quotas.values())) > 0:
        open_classes = [name for name in by_remainder if quotas[name] < most[name]]
        if not open_classes:
            break
        for name in open_classes[:missing]:
            quotas[name] += 1
    return quotas
