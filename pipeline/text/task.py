"""Preparing a task: documents with labels, in train, validation and test parts."""

from collections import Counter
from pathlib import Path
from typing import Any

from pipeline.base.errors import UserError
from pipeline.base.files import write_json
from pipeline.config.dataset import DatasetConfig, Part
from pipeline.text import splits
from pipeline.text.audit import describe, overlap
from pipeline.text.classes import check_classes
from pipeline.text.documents import Document, Tally, listed, read_documents
from pipeline.text.prepared import PreparedWriter, task_schema
from pipeline.text.sources.read import Source

Parts = dict[Part, list[Document]]


def prepare_task(config: DatasetConfig, source: Source, out: Path, where: str) -> None:
    """Write {train,validation,test}.parquet, labels.json and audit.json into the folder `out`.

    `where`: the config file, for messages. What is written depends on the rows and the config alone.
    """
    if config.path == "none" or config.label is None:
        raise UserError(f"{where}: the task needs labels; choose a data set with `label:` in configs/config.yaml")
    parts, audit = _read(config, source, where)
    pool = parts["train"]
    check_classes(Counter(label for document in pool for label in document.labels), len(pool), where)
    _cut(config, parts, where)
    labels = splits.label_order(label for document in parts["train"] for label in document.labels)
    for part in ("validation", "test"):
        _check_known(parts[part], labels, _place(source, part, where))
    _write(config, parts, labels, out)
    write_json(out / "audit.json", {**audit, **_audit(config, parts, labels)})


def _read(config: DatasetConfig, source: Source, where: str) -> tuple[Parts, dict[str, Any]]:
    """The documents of each part that the source gives."""
    parts: Parts = {"train": [], "validation": [], "test": []}
    rows = {}
    for part in source.parts:
        tally = Tally()
        documents = list(read_documents(source.rows(part), config, tally, labelled=True))
        if not documents:
            why = listed(tally.dropped)
            place = _place(source, part, where)
            raise UserError(f"{place} keeps none of its {tally.read} rows ({why}); check `text` and `label`")
        parts[part] = splits.sample(documents, config.max_documents or len(documents), config.seed)
        rows[part] = tally.audit()
    return parts, {"rows": rows}


def _place(source: Source, part: Part, where: str) -> str:
    """A part, for messages: with the file that `ulmfit new-task` was given for it, else with the config file."""
    return f"{(source.elsewhere or {}).get(part, where)}: {part}"


def _cut(config: DatasetConfig, parts: Parts, where: str) -> None:
    """Cut the parts that are not given from train, and keep as many labels as the config asks for.

    No test document though some are asked for is an error. No validation document is none: it is asked for unless the
    config says 0, and a task does without.
    """
    try:
        if not parts["test"] and config.test is not None:
            size = splits.size_of(config.test, len(parts["train"]))
            parts["train"], parts["test"] = splits.cut(parts["train"], size, config.seed)
            if not parts["test"]:
                raise UserError(
                    f"no test document can be cut from the {len(parts['train'])} of train, in which each class keeps "
                    f"two and equal texts stay together; add documents, or a test file"
                )
        if config.labels_per_class is not None:
            parts["train"] = splits.few(parts["train"], config.labels_per_class, config.seed)
        if not parts["validation"] and config.validation:
            size = splits.size_of(config.validation, len(parts["train"]))
            parts["train"], parts["validation"] = splits.cut(parts["train"], size, config.seed + 1)
    except UserError as error:
        raise UserError(f"{where}: {error}") from error


def _check_known(part: list[Document], labels: list[str], where: str) -> None:
    known = set(labels)
    for document in part:
        for label in document.labels:
            if label not in known:
                raise UserError(
                    f'{where} has the label "{label}", which train lacks; add examples to train or remove it'
                )


def _write(config: DatasetConfig, parts: Parts, labels: list[str], out: Path) -> None:
    index = {label: place for place, label in enumerate(labels)}
    for part, documents in parts.items():
        with PreparedWriter(out / f"{part}.parquet", task_schema(config.multilabel)) as file:
            for document in documents:
                places = [index[label] for label in document.labels]
                file.write(document.text, sorted(places) if config.multilabel else places[0])
    values = {"labels": labels, "multilabel": config.multilabel, "text": config.text_columns}
    values |= {"max_characters": config.max_characters, "spaced": config.spaced, "transductive": config.transductive}
    write_json(out / "labels.json", values)


def _audit(config: DatasetConfig, parts: Parts, labels: list[str]) -> dict[str, Any]:
    texts = {part: [document.text for document in documents] for part, documents in parts.items()}
    return {
        "parts": {part: describe(documents, labels) for part, documents in parts.items()},
        "overlap_with_train": {
            part: overlap(texts[part], texts["train"], spaced=config.spaced)
            for part in ("validation", "test")
            if texts[part]
        },
    }
