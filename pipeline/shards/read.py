"""Read token shards through memory maps, as one corpus."""

from pathlib import Path
from typing import Any

import numpy as np

from pipeline.base.errors import UserError
from pipeline.base.files import sha256
from pipeline.shards.format import ENDS_DTYPE, REPAIR, Index, Shard


class TokenCorpus:
    """The tokens of all documents of a folder, one after the other, as `write_shards` left them.

    Opening checks the files' sizes (damage is a `UserError` that names the file), `verify` their checksums. Nothing
    is read before it is asked for. A copy that is pickled to another process opens its own memory maps.
    """

    def __init__(self, folder: Path | str) -> None:
        self.folder = Path(folder)
        index = Index.read(self.folder)
        self.index = index
        self.vocabulary, self.tokenizer = index.vocabulary, index.tokenizer
        self.tokens, self.documents = index.tokens, index.documents
        self.text_bytes, self.characters = index.text_bytes, index.characters
        self._tokens = [self._map_tokens(shard) for shard in index.shards]
        self._ends = [self._map_ends(shard) for shard in index.shards]
        self._first_token = _starts([shard.tokens for shard in index.shards])
        self._first_document = _starts([shard.documents for shard in index.shards])

    def __reduce__(self) -> tuple[type["TokenCorpus"], tuple[Path]]:
        return TokenCorpus, (self.folder,)

    def __len__(self) -> int:
        """Number of documents."""
        return self.documents

    def read(self, start: int, stop: int) -> np.ndarray:
        """Tokens `start` to `stop` of the whole corpus, across documents and shards: int64 (stop - start,)."""
        if not 0 <= start <= stop <= self.tokens:
            raise IndexError(f"tokens {start} to {stop} of {self.tokens}")
        out = np.empty(stop - start, dtype=np.int64)
        shard = int(np.searchsorted(self._first_token, start, side="right")) - 1
        at = start
        while at < stop:
            first = int(self._first_token[shard])
            piece = self._tokens[shard][at - first : stop - first]
            out[at - start : at - start + len(piece)] = piece
            at += len(piece)
            shard += 1
        return out

    def document(self, number: int) -> np.ndarray:
        """Tokens of one document with its markers: int64."""
        if not 0 <= number < self.documents:
            raise IndexError(f"document {number} of {self.documents}")
        shard = int(np.searchsorted(self._first_document, number, side="right")) - 1
        ends, row = self._ends[shard], number - int(self._first_document[shard])
        start = int(ends[row - 1]) if row else 0
        return self._tokens[shard][start : int(ends[row])].astype(np.int64)

    def lengths(self) -> np.ndarray:
        """Tokens of each document, markers included: int64 (documents,)."""
        each = [np.diff(ends.astype(np.int64), prepend=0) for ends in self._ends]
        return np.concatenate(each) if each else np.zeros(0, dtype=np.int64)

    def verify(self) -> None:
        """Compare every file with its checksum; reads the whole corpus once."""
        for shard in self.index.shards:
            for name, expected in ((shard.tokens_file, shard.tokens_sha256), (shard.ends_file, shard.ends_sha256)):
                if sha256(self.folder / name) != expected:
                    raise UserError(f"{self.folder / name}: is damaged (its sha256 differs from the index); {REPAIR}")

    def _map_tokens(self, shard: Shard) -> np.ndarray:
        path = self.folder / shard.tokens_file
        expected = shard.tokens * self.index.dtype.itemsize
        size = path.stat().st_size if path.is_file() else None
        if size is None:
            raise UserError(f"{path}: no such file; {REPAIR}")
        if size != expected:
            raise UserError(f"{path}: has {size} bytes where the index says {expected}; {REPAIR}")
        return np.memmap(path, dtype=self.index.dtype, mode="r").view(np.ndarray)  # plain views slice faster

    def _map_ends(self, shard: Shard) -> np.ndarray:
        path = self.folder / shard.ends_file
        try:
            ends = np.load(path, mmap_mode="r", allow_pickle=False)
        except FileNotFoundError as error:
            raise UserError(f"{path}: no such file; {REPAIR}") from error
        except (ValueError, EOFError, OSError) as error:
            raise UserError(f"{path}: is damaged ({error}); {REPAIR}") from error
        if ends.dtype != ENDS_DTYPE or ends.shape != (shard.documents,) or int(ends[-1]) != shard.tokens:
            raise UserError(f"{path}: does not fit the index; {REPAIR}")
        return ends.view(np.ndarray)


def _starts(counts: list[int]) -> np.ndarray[Any, np.dtype[np.int64]]:
    """Number of the first token (or document) of each shard."""
    return np.cumsum([0, *counts[:-1]], dtype=np.int64) if counts else np.zeros(0, dtype=np.int64)
