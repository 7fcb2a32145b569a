"""Corpora, recipes and budgets so small that a study's whole road takes seconds."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from pipeline.base.files import write_json
from tests.workspace import CONFIGS, LABELS, sentences

MODEL = CONFIGS["model"]
SHORT = {"tokens": 768, "batch_tokens": 256, "length": 32, "validate_every": 3, "checkpoint_every": 3}
QUICK = CONFIGS["classifier"] | {"epochs": 1, "unfreeze": "full"}
RECIPES: dict[str, dict[str, Mapping[str, Any]]] = {
    "tokenizer": {"small": {"vocabulary": 450}},
    "model": {"small": MODEL},
    "pretrain": {"small": {"start": "scratch", **SHORT}},
    "finetune_lm": {"small": SHORT},
    "classifier": {"quick": QUICK},
    "blend": {"quick": {"weight": "auto", "folds": 2}},
    "self_train": {"quick": {"documents": 60, "epochs": 1}},
}


def write(root: Path, corpora: dict[str, int]) -> None:
    """Configs, and the files of a generic corpus and of labelled corpora with so many training documents."""
    for folder, files in RECIPES.items():
        for name, values in files.items():
            write_json(root / f"configs/{folder}/{name}.yaml", dict(values))
    _data_set(root, "local_generic", {"train": 120})
    for corpus, documents in corpora.items():
        _data_set(root, f"local_{corpus}", {"train": documents, "test": 60}, label="label")
        _data_set(root, f"local_{corpus}_domain", {"train": 4 * documents})


def _data_set(root: Path, name: str, parts: dict[str, int], **keys: str) -> None:
    folder = root / "data/raw" / name
    folder.mkdir(parents=True)
    for part, documents in parts.items():
        seed = sum(map(ord, name.removesuffix("_domain") + part))
        rows = [{"text": text, "label": LABELS[label]} for text, label in sentences(documents, seed)]
        (folder / f"{part}.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    files = {part: f"{part}.jsonl" for part in parts}
    write_json(root / f"configs/dataset/{name}.yaml", {"path": "jsonl", "data_files": files, "validation": 0.2, **keys})
