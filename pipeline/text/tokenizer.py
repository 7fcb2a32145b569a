"""The tokenizer: byte-level BPE by `tokenizers`, for any language, with nothing unknown.

Sennrich et al. 2016 (byte-pair encoding); Radford et al. 2019, section 2.2 (over bytes).
"""

import re
from array import array
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import NamedTuple

import numpy as np
from tokenizers import Encoding, Regex, Tokenizer, decoders, models, normalizers, pre_tokenizers, trainers

from pipeline.base.errors import UserError
from pipeline.base.files import sha256, write_text
from pipeline.config.tokenizer import TokenizerConfig
from pipeline.shards.format import token_dtype
from pipeline.text.groups import ahead, grouped
from pipeline.text.specials import BOS, EOS, MASK, PAD, SPECIALS

__all__ = ["BOS", "EOS", "MASK", "PAD", "blocks", "encode", "encoded", "fingerprint", "load", "save", "train"]

# Merges stay within a piece: a word with the space before it, up to 3 digits, a run of other signs, a run of spaces;
# "'s", "'t", "'ll" are pieces of their own. Marks belong to the letters they stand on (Devanagari, Thai). The bound of
# 64 keeps training time linear where nothing is spaced (genomes, base64).
PIECES = (
    r"['’][\p{L}\p{M}]{1,2}(?![\p{L}\p{M}])"
    r"| ?[\p{L}\p{M}]{1,64}"
    r"| ?\p{N}{1,3}"
    r"| ?[^\s\p{L}\p{M}\p{N}]{1,64}"
    r"|\s{1,64}(?!\S)|\s"
)
BLOCK_CHARACTERS = 2**16
GROUP_CHARACTERS = 2**20  # a group's encodings take some 30 bytes a character
# Up to the last place in a block where a piece ends whatever follows: before a space.
_BLOCK_END = re.compile(r".*\S(?=[ \n])", re.DOTALL)
_SURROGATE = re.compile("[\ud800-\udfff]")


def train(texts: Iterable[str], config: TokenizerConfig) -> Tokenizer:
    """Learn merges from `texts`, which are read once, in a stream; their distinct words are held in memory.

    The vocabulary has `config.vocabulary` entries at most, fewer where the text has no more pairs that occur
    `config.min_frequency` times. It depends on the text alone, not on the order of the texts or on threads.
    """
    tokenizer = Tokenizer(models.BPE())
    forms: list[normalizers.Normalizer] = []
    if config.normalize != "none":
        forms.append({"nfc": normalizers.NFC, "nfkc": normalizers.NFKC}[config.normalize]())
    if config.lowercase:
        forms.append(normalizers.Lowercase())
    if forms:
        tokenizer.normalizer = normalizers.Sequence(forms)
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence(
        [
            pre_tokenizers.Split(Regex(PIECES), behavior="isolated"),
            pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False),
        ]
    )
    tokenizer.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=config.vocabulary,
        min_frequency=config.min_frequency,
        special_tokens=list(SPECIALS),
        initial_alphabet=sorted(pre_tokenizers.ByteLevel.alphabet()),
        show_progress=False,
    )
    pieces = (block for text in texts for block in blocks(_clean(text)))
    tokenizer.train_from_iterator(pieces, trainer)
    tokenizer.encode_special_tokens = True
    return tokenizer


def save(tokenizer: Tokenizer, path: Path | str) -> None:
    """Write tokenizer.json; equal tokenizers make equal bytes."""
    write_text(path, tokenizer.to_str())


def load(path: Path | str) -> Tokenizer:
    """Read tokenizer.json, so that `<bos>` and the like in a text are plain text."""
    path = Path(path)
    if not path.is_file():
        raise UserError(f"{path}: no such file; run the stage that makes it (`dvc repro`)")
    try:
        tokenizer = Tokenizer.from_file(str(path))
    except Exception as error:  # `tokenizers` raises this bare class for every kind of damage
        raise UserError(f"{path}: is damaged ({error}); delete it and run `dvc repro` again") from error
    for number, name in enumerate(SPECIALS):
        if tokenizer.token_to_id(name) != number:
            raise UserError(f"{path}: {name} is not token {number}; take a tokenizer that this pipeline trained")
    tokenizer.encode_special_tokens = True  # not kept in the file
    return tokenizer


def fingerprint(path: Path | str) -> str:
    """The sha256 of tokenizer.json, by which tokens and models name their tokenizer."""
    return sha256(path)


def encode(tokenizer: Tokenizer, texts: list[str]) -> list[np.ndarray]:
    """Tokens of each text between <bos> and <eos>, by all cores: uint16, or uint32 beyond 65,536 entries."""
    return [tokens for _, tokens in encoded(tokenizer, texts)]


def encoded(tokenizer: Tokenizer, texts: Iterable[str]) -> Iterator[tuple[str, np.ndarray]]:
    """Each text with its tokens, as `encode` makes them; of a stream of texts a few megabytes are held at a time.

    A long text is encoded in blocks, so that it needs little memory and takes all cores too. The result is the same,
    unless the tokenizer puts a character before each text it is given, as LLaMA's Prepend normaliser does: then each
    block begins with one more.
    """
    dtype = token_dtype(tokenizer.get_vocab_size())
    begin, end = np.array([BOS], dtype), np.array([EOS], dtype)

    def work(group: list[_Part]) -> tuple[list[_Part], list[Encoding]]:
        return group, tokenizer.encode_batch_fast([part.block for part in group], add_special_tokens=False)

    groups = grouped(_parts(texts), GROUP_CHARACTERS, length=lambda part: len(part.block))
    tokens = [begin]
    # While all cores encode a group, Python takes over the tokens of the one before.
    for group, encodings in ahead(work, groups):
        for part, encoding in zip(group, encodings, strict=True):
            # By way of an array, since a list of numbers takes NumPy three times as long.
            tokens.append(np.array(array("I", encoding.ids), dtype))
            if part.whole is not None:
                yield part.whole, np.concatenate([*tokens, end])
                tokens = [begin]


class _Part(NamedTuple):
    block: str
    whole: str | None  # the text, where this is its last block


def _parts(texts: Iterable[str]) -> Iterator[_Part]:
    for text in texts:
        *most, last = list(blocks(_clean(text))) or [""]
        yield from (_Part(block, None) for block in most)
        yield _Part(last, text)


def blocks(text: str, size: int = BLOCK_CHARACTERS) -> Iterator[str]:
    """Cut a text into blocks of `size` characters at most, before a space, where no token can lie across.

    Only `size` characters without a space are cut anywhere. An empty text has no blocks.
    """
    start = 0
    while len(text) - start > size:
        end = _BLOCK_END.match(text, start, start + size + 1)
        stop = end.end() if end else start + size
        yield text[start:stop]
        start = stop
    if start < len(text):
        yield text[start:]


def _clean(text: str) -> str:
    """Half a surrogate pair, which no UTF-8 file can hold but JSON's escapes can, becomes U+FFFD."""
    return text if text.isascii() else _SURROGATE.sub("\ufffd", text)
