"""Preparing an unlabelled corpus: cleaned, without held-out documents, cut in two by the hash of each text; streamed.

Documents go through a temporary parquet file, of which memory holds a key and a length per document (12 bytes).
"""

from array import array
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pipeline.base.errors import UserError
from pipeline.base.files import write_json
from pipeline.base.progress import Progress
from pipeline.config.dataset import DatasetConfig, Part
from pipeline.text.audit import lengths
from pipeline.text.documents import Tally, read_documents
from pipeline.text.overlap import HeldOut, batches
from pipeline.text.prepared import PreparedWriter, corpus_schema, read_texts
from pipeline.text.sources.read import Source
from pipeline.text.splits import key, size_of

PARTS: tuple[Part, ...] = ("train", "validation")


def prepare_corpus(config: DatasetConfig, folder: Path, out: Path, held_out: dict[str, HeldOut], where: str) -> None:
    """Write {train,validation}.parquet and audit.json into the folder `out`.

    `folder`: the data set's folder in data/raw; `held_out`: documents by part whose near-duplicates are left
    out; `where`: the config file, for messages. `path: none` makes empty parts. Only the parts train and
    validation are read: a test part stays closed.
    """
    audit: dict[str, Any] = {"parts": {}, "rows": {}, "held_out_removed": {}}
    given = Source(config, folder) if config.path != "none" else None
    sizes = {part: 0 for part in PARTS}
    for part in PARTS:
        if given is not None and part in given.parts:
            spool = _Spool(out / f"{part}.spool")
            spool.fill(given, part, config, held_out, where)
            audit["rows"][part] = spool.tally.audit()
            audit["held_out_removed"][part] = spool.removed
            cut = part == "train" and "validation" not in given.parts
            sizes |= spool.empty_into(out, part, config, size_of(config.validation, spool.keep) if cut else 0, audit)
    for part in PARTS:
        if not sizes[part]:
            PreparedWriter(out / f"{part}.parquet", corpus_schema()).__exit__(None, None, None)
    write_json(out / "audit.json", audit)
