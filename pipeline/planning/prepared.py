"""What the stages before training have left here, as far as it was made from the choices that are planned."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pipeline.classifier.data import Task
from pipeline.planning.made import made, up_to_date
from pipeline.shards.read import TokenCorpus
from pipeline.text.prepared import count

TOKENS, PREPARED = Path("data/tokens"), Path("data/prepared")
MISSING = "after `dvc repro tokenise`"


@dataclass(frozen=True)
class Prepared:
    """Tokens on this disk; dvc.lock tells which data set and tokenizer they are of, and whether they are as new."""

    choices: Mapping[str, Any]

    def corpus(self, role: str, part: str) -> TokenCorpus | None:
        """The tokens of `generic`, `domain` or `task`; None where they are another choice's or not there yet."""
        if not (TOKENS / role / part / "index.json").is_file():
            return None
        fits = made("tokenizer", self.choices, "tokenizer") and made(f"prepare_{role}", self.choices, role)
        if not fits or not up_to_date(f"tokenise@{role}", "tokenizer", f"prepare_{role}"):
            return None
        return TokenCorpus(TOKENS / role / part)

    def task(self) -> Task | None:
        """The labelled documents, likewise; also None where a stage that was run without DVC left tokens of others."""
        if not (PREPARED / "task/labels.json").is_file():
            return None
        for part in ("train", "validation"):
            corpus = self.corpus("task", part)
            if corpus is None or corpus.documents != count(PREPARED / "task" / f"{part}.parquet"):
                return None
        return Task.open(PREPARED / "task", TOKENS / "task", reverse=False)

    def vocabulary(self, wanted: int) -> int:
        """Entries of the tokenizer: those of a corpus that it has made, or as many as its config asks for."""
        corpora = (self.corpus(role, "train") for role in ("task", "domain", "generic"))
        return next((corpus.vocabulary for corpus in corpora if corpus is not None), wanted)
