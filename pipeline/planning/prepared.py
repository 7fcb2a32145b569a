"""What the stages before training have left here, as far as it was made from the choices that are planned."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pipeline.classifier.data import Task
from pipeline.config.chosen import FOLDERS
from pipeline.shards.read import TokenCorpus

TOKENS, PREPARED, LOCK = Path("data/tokens"), Path("data/prepared"), Path("dvc.lock")
MISSING = "after `dvc repro tokenise`"


@dataclass(frozen=True)
class Prepared:
    """Tokens on this disk; dvc.lock tells which data set and tokenizer they are of."""

    choices: Mapping[str, Any]

    def corpus(self, role: str, part: str) -> TokenCorpus | None:
        """The tokens of `generic`, `domain` or `task`; None where they are another choice's or not there yet."""
        fits = self._made("tokenizer", "tokenizer") and self._made(f"prepare_{role}", role)
        return TokenCorpus(TOKENS / role / part) if fits and (TOKENS / role / part / "index.json").is_file() else None

    def task(self) -> Task | None:
        """The labelled documents, likewise."""
        if self.corpus("task", "train") is None or not (PREPARED / "task/labels.json").is_file():
            return None
        return Task.open(PREPARED / "task", TOKENS / "task", reverse=False)

    def vocabulary(self, wanted: int) -> int:
        """Entries of the tokenizer: those of a corpus that it has made, or as many as its config asks for."""
        corpora = (self.corpus(role, "train") for role in ("task", "domain", "generic"))
        return next((corpus.vocabulary for corpus in corpora if corpus is not None), wanted)

    def _made(self, stage: str, key: str) -> bool:
        """Whether the last run of a stage read the file of this choice; without a lock nobody has run another."""
        if not LOCK.is_file():
            return True
        found = re.search(rf"^  {stage}:\n((?:    .*\n)*)", LOCK.read_text(encoding="utf-8"), re.MULTILINE)
        return bool(found and f"configs/{FOLDERS[key]}/{self.choices[key]}.yaml:" in found[1])
