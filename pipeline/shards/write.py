"""Write a corpus into token shards: streamed, document by document, in place as a whole or not at all."""

import hashlib
from array import array
from collections.abc import Iterable
from contextlib import ExitStack
from pathlib import Path

import numpy as np

from pipeline.base.files import sha256, whole_folder, write_json
from pipeline.shards.format import ENDS_DTYPE, INDEX, Index, Shard, token_dtype

SHARD_TOKENS = 2**26  # 128 MiB of uint16
BUFFER_BYTES = 2**20


class _ShardWriter:
    """One shard on its way to the disk; holds 8 bytes a document and one buffer."""

    def __init__(self, folder: Path, number: int) -> None:
        self.folder = folder
        self.tokens_file, self.ends_file = f"tokens-{number:05d}.bin", f"ends-{number:05d}.npy"
        self.file = (folder / self.tokens_file).open("wb", buffering=BUFFER_BYTES)
        self.hash = hashlib.sha256()
        self.ends = array("Q")
        self.tokens = 0

    def add(self, tokens: np.ndarray) -> None:
        content = tokens.tobytes()
        self.file.write(content)
        self.hash.update(content)
        self.tokens += len(tokens)
        self.ends.append(self.tokens)

    def finish(self) -> Shard:
        self.file.close()
        ends = np.frombuffer(self.ends, dtype=np.uint64).astype(ENDS_DTYPE)
        np.save(self.folder / self.ends_file, ends, allow_pickle=False)
        return Shard(
            tokens_file=self.tokens_file,
            ends_file=self.ends_file,
            tokens=self.tokens,
            documents=len(ends),
            tokens_sha256=self.hash.hexdigest(),
            ends_sha256=sha256(self.folder / self.ends_file),
        )


def write_shards(
    folder: Path | str,
    documents: Iterable[tuple[np.ndarray, int, int]],
    *,
    vocabulary: int,
    tokenizer: str,
    shard_tokens: int = SHARD_TOKENS,
) -> Index:
    """Write documents into `folder`, which is replaced when all of them are on the disk.

    documents: tokens of each document with its markers, bytes of its text in UTF-8, characters of its text. There
    may be none. `tokenizer` is the fingerprint of the tokenizer that made the tokens. A shard is closed when it has
    reached `shard_tokens`, so a longer document makes a longer shard.
    """
    dtype = token_dtype(vocabulary)
    text_bytes = characters = 0
    shards: list[Shard] = []
    with whole_folder(folder) as partial, ExitStack() as open_file:
        writer: _ShardWriter | None = None
        for tokens, size, length in documents:
            if writer is None:
                writer = _ShardWriter(partial, len(shards))
                open_file.callback(writer.file.close)
            writer.add(tokens.astype(dtype, copy=False))
            text_bytes += size
            characters += length
            if writer.tokens >= shard_tokens:
                shards.append(writer.finish())
                writer = None
        if writer is not None:
            shards.append(writer.finish())
        index = Index(
            vocabulary=vocabulary,
            tokenizer=tokenizer,
            tokens=sum(shard.tokens for shard in shards),
            documents=sum(shard.documents for shard in shards),
            text_bytes=text_bytes,
            characters=characters,
            shards=tuple(shards),
        )
        write_json(partial / INDEX, index.to_json())
    return index
