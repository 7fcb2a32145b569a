"""The audit that `ulmfit new-task` prints: what a file holds, and what should make its owner look again."""

import tempfile
from collections.abc import Mapping
from dataclasses import replace
from itertools import islice
from pathlib import Path
from typing import Any

from pipeline.base.files import read_json
from pipeline.config.dataset import DatasetConfig, Given, Part
from pipeline.text.audit import lengths
from pipeline.text.classes import likely_separator
from pipeline.text.documents import Tally, read_documents
from pipeline.text.inspect import encoding_problems, is_spaced, near_duplicates
from pipeline.text.prepared import read_texts
from pipeline.text.sources.read import Source
from pipeline.text.task import prepare_task

TOKENIZER = Path("models/tokenizer/tokenizer.json")
LOOK_AT = 500  # documents, to tell whether words are separated by spaces
NEAR = 100_000  # documents compared with each other for near-duplicates, at most
BAR = 24  # characters of the longest bar
MOST_LABELS = 30  # listed
PARTS: tuple[Part, ...] = ("train", "validation", "test")


def training_documents(config: DatasetConfig, files: dict[Given, Path]) -> int:
    """How many labelled documents a task would train on."""
    with tempfile.TemporaryDirectory() as folder:
        prepare_task(config, Source(config, Path(), files), Path(folder), str(files["train"]))
        return int(read_json(Path(folder) / "audit.json")["parts"]["train"]["documents"])


def audit(config: DatasetConfig, files: dict[Given, Path]) -> dict[str, Any]:
    """Prepare the task in a temporary folder, as its stage will; returns audit.json and more."""
    source = Source(config, Path(), files)
    first = islice(read_documents(source.rows("train"), config, Tally(), labelled=False), LOOK_AT)
    spaced = is_spaced([document.text for document in first])
    config = replace(config, spaced=spaced)
    with tempfile.TemporaryDirectory() as folder:
        prepare_task(config, source, Path(folder), str(files["train"]))
        numbers = read_json(Path(folder) / "audit.json")
        texts = [text for part in PARTS for text in read_texts(Path(folder) / f"{part}.parquet")]
    return {
        **numbers,
        "corpus": _corpus(config, source),
        "spaced": spaced,
        "separator": None if config.multilabel else likely_separator(numbers["parts"]["train"]["labels"]),
        "characters": lengths([len(text) for text in texts]),
        "bytes": sum(len(text.encode()) for text in texts),
        "tokens": _tokens(texts),
        "near_duplicates": near_duplicates(texts[:NEAR], spaced=spaced),
        "encoding": encoding_problems(texts),
    }


def show(title: str, numbers: dict[str, Any]) -> None:
    """Print an audit."""
    print(f"{title}: {sum(rows['rows_read'] for rows in numbers['rows'].values()):,} rows")
    for part, rows in numbers["rows"].items():
        for reason, count in rows["dropped"].items():
            print(f"  {part}: {count:,} rows dropped, {reason}")
        if rows["cut_to_max_characters"]:
            print(f"  {part}: {rows['cut_to_max_characters']:,} documents longer than max_characters, cut")
    _show_labels(numbers["parts"])
    if numbers["separator"]:
        print(f"  many labels look like several: `--separator '{numbers['separator']}'` makes each a label of its own")
    _show_lengths(numbers)
    corpus = numbers["corpus"]
    print(f"\n  text, labelled or not    {corpus['documents']:,} documents, {corpus['characters']:,} characters")
    duplicates = {part: numbers["parts"][part]["exact_duplicates"] for part in PARTS}
    print(f"  exact duplicates within  {_listed(duplicates)}")
    print(f"  near duplicates in all   {numbers['near_duplicates']:,} (of the first {NEAR:,} documents)")
    for part, found in numbers["overlap_with_train"].items():
        print(
            f"  {part} also in train".ljust(27)
            + f"{found['exact']:,} exactly, {found['exact_or_near']:,} with near ones"
        )
    print(f"  encoding                 {_listed(numbers['encoding']) or 'no problems seen'}")
    if not numbers["spaced"]:
        print("  words                    not separated by spaces: baselines and duplicates go by characters")


def _show_labels(parts: dict[str, Any]) -> None:
    counts = {name: [parts[part]["labels"][name] for part in PARTS] for name in parts["train"]["labels"]}
    width = max(len("label"), *map(len, counts))
    most = max(sum(row) for row in counts.values())
    documents = sum(parts[part]["documents"] for part in PARTS)
    print(f"\n  {'label':<{width}}  {'train':>9}{'validation':>12}{'test':>9}   share")
    for name, row in sorted(counts.items(), key=lambda item: -sum(item[1]))[:MOST_LABELS]:
        bar = "█" * max(1, round(BAR * sum(row) / most))
        print(f"  {name:<{width}}  {row[0]:>9,}{row[1]:>12,}{row[2]:>9,}   {bar} {sum(row) / documents:.0%}")
    if len(counts) > MOST_LABELS:
        print(f"  ... and {len(counts) - MOST_LABELS} more")
    totals = [parts[part]["documents"] for part in PARTS]
    print(f"  {'documents':<{width}}  {totals[0]:>9,}{totals[1]:>12,}{totals[2]:>9,}")


def _show_lengths(numbers: dict[str, Any]) -> None:
    print(f"\n  {'length':<12}{'shortest':>9}{'5 %':>9}{'median':>9}{'95 %':>9}{'longest':>9}{'total':>13}")
    for unit in ("characters", "tokens"):
        if numbers[unit]:
            found = numbers[unit]
            row = "".join(f"{found[name]:>9,}" for name in ("minimum", "p05", "median", "p95", "maximum"))
            print(f"  {unit:<12}{row}{found['total']:>13,}")
    if not numbers["tokens"]:
        print(f"  (tokens as well, once there is {TOKENIZER})")


def _corpus(config: DatasetConfig, source: Source) -> dict[str, int]:
    """What the set brings a language model: its training text, whether labelled or not."""
    tally = Tally()
    for _ in read_documents(source.text_rows("train"), config, tally, labelled=False):
        pass
    return {"documents": len(tally.characters), "characters": sum(tally.characters)}


def _tokens(texts: list[str]) -> dict[str, int]:
    """Lengths in tokens of the pipeline's tokenizer; empty where there is none yet."""
    if not TOKENIZER.is_file():
        return {}
    from pipeline.text.tokenizer import encode, load

    tokenizer = load(TOKENIZER)
    return lengths([len(tokens) for tokens in encode(tokenizer, texts)])


def _listed(counts: Mapping[Any, int]) -> str:
    return ", ".join(f"{name} {count:,}" for name, count in counts.items())
