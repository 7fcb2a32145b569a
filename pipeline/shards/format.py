"""What a folder of token shards holds, and its index.

`tokens-00000.bin` is a run of little-endian tokens, document after document; `ends-00000.npy` holds the end of each
document within it, in tokens; `index.json` counts and checksums both, for every shard. Documents never straddle shards.
"""

from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Self

import numpy as np

from pipeline.base.errors import UserError
from pipeline.base.files import read_json

FORMAT = 1
INDEX = "index.json"
ENDS_DTYPE = np.dtype("<u8")
REPAIR = "run `dvc repro` to make it again"


def token_dtype(vocabulary: int) -> np.dtype[Any]:
    """The smallest type that shards keep a token in: uint16 up to 65,536 entries, else uint32 (little-endian)."""
    return np.dtype("<u2") if vocabulary <= 65_536 else np.dtype("<u4")


@dataclass(frozen=True)
class Shard:
    """One pair of files: their names within the folder, what they hold, their sha256."""

    tokens_file: str
    ends_file: str
    tokens: int
    documents: int
    tokens_sha256: str
    ends_sha256: str


@dataclass(frozen=True)
class Index:
    """Contents of `index.json`; the totals are over all shards, text_bytes in UTF-8."""

    vocabulary: int
    tokenizer: str  # fingerprint: sha256 of tokenizer.json
    tokens: int
    documents: int
    text_bytes: int
    characters: int
    shards: tuple[Shard, ...]

    @property
    def dtype(self) -> np.dtype[Any]:
        """Type of the token files."""
        return token_dtype(self.vocabulary)

    def to_json(self) -> dict[str, Any]:
        """As it is written."""
        return {"format": FORMAT, "dtype": self.dtype.name, **asdict(self)}

    @classmethod
    def read(cls, folder: Path) -> Self:
        """Read a folder's index; a missing, damaged or foreign one is a `UserError` that names it."""
        path = folder / INDEX
        content = read_json(path)
        try:
            if content.pop("format") != FORMAT:
                raise UserError(f"{path}: is of another version of this format; {REPAIR}")
            dtype = content.pop("dtype")
            index = cls(**{**content, "shards": tuple(Shard(**shard) for shard in content["shards"])})
            if dtype != index.dtype.name or index.tokens != sum(shard.tokens for shard in index.shards):
                raise ValueError("its numbers contradict each other")
        except (AttributeError, KeyError, TypeError, ValueError) as error:
            raise UserError(f"{path}: is damaged ({error}); {REPAIR}") from error
        return index
