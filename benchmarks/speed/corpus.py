"""Text for the rows on speed, and the tokenizer and tokens that all contestants share."""

import gzip
import json
import lzma
from collections.abc import Iterable, Iterator
from itertools import islice
from pathlib import Path

import numpy as np

from pipeline.base.files import whole_file
from pipeline.config.tokenizer import TokenizerConfig
from pipeline.shards.read import TokenCorpus
from pipeline.shards.write import write_shards
from pipeline.text.docstrings import clean
from pipeline.text.embedded import PARTS, library_texts
from pipeline.text.tokenizer import encode, fingerprint, load, save, train

VOCABULARY = 8192
CHARACTERS = 8_000_000
FILES = {"generic": "generic/train-00.jsonl.xz", "imdb": "imdb/train.jsonl.gz"}
LENGTH, BATCH = 256, 16


def read(data: Path | None, kind: str) -> Iterator[str]:
    """Texts of a kind from DATASETS_DIR; without it documentation strings of the installed libraries stand in."""
    if data is None:
        for texts in library_texts(PARTS["domain"][0]).values():
            yield from map(clean, texts)
        return
    path = Path(data) / FILES[kind]
    opener = lzma.open if path.suffix == ".xz" else gzip.open
    with opener(path, "rt", encoding="utf-8") as file:
        for line in file:
            yield json.loads(line)["text"]


def some(texts: Iterable[str], characters: int = CHARACTERS) -> list[str]:
    """The first texts, as many as make up so many characters."""
    found, held = [], 0
    for text in texts:
        found.append(text)
        held += len(text)
        if held >= characters:
            break
    return found


def tokenizer(data: Path | None, work: Path) -> Path:
    """A tokenizer of 8,192 entries."""
    path = work / f"tokenizer-{'real' if data else 'embedded'}.json"
    if not path.is_file():
        path.parent.mkdir(parents=True, exist_ok=True)
        save(train(some(read(data, "generic")), TokenizerConfig(vocabulary=VOCABULARY)), path)
    return path


def tokens(data: Path | None, work: Path) -> TokenCorpus:
    """The generic text as token shards."""
    path, folder = tokenizer(data, work), work / f"tokens-{'real' if data else 'embedded'}"
    if not folder.is_dir():
        texts = some(read(data, "generic"))
        encoded = encode(load(path), texts)
        documents = ((one, len(text.encode()), len(text)) for one, text in zip(encoded, texts, strict=True))
        write_shards(folder, documents, vocabulary=VOCABULARY, tokenizer=fingerprint(path))
    return TokenCorpus(folder)


def plain_tokens(corpus: TokenCorpus, work: Path) -> Path:
    """The same tokens in one plain uint16 file, as nanoGPT reads them."""
    path = work / f"{corpus.folder.name}.bin"
    if not path.is_file():
        with whole_file(path) as file:
            file.write(corpus.read(0, corpus.tokens).astype(np.uint16).tobytes())
    return path


def reviews(data: Path | None, documents: int) -> list[str]:
    """Documents for the classifier: film reviews where there are real ones."""
    return list(islice(read(data, "imdb"), documents))
