"""Schema of `configs/tokenizer/*.yaml`."""

from dataclasses import dataclass
from typing import Annotated

from pydantic import Field


@dataclass(frozen=True)
class TokenizerConfig:
    """A byte-level BPE tokenizer, trained on a bounded sample."""

    # Entries in all: special tokens, 256 bytes and merges.
    vocabulary: Annotated[int, Field(ge=300, le=1_000_000)] = 8192
    # A merge must occur this often in the sample.
    min_frequency: Annotated[int, Field(ge=1)] = 2
    # Text the tokenizer is trained on, in megabytes of UTF-8, taken evenly from the whole corpus.
    sample_megabytes: Annotated[float, Field(gt=0)] = 50
    # Let the domain's training text into the sample; a change of domain then makes a new tokenizer and language model.
    include_domain: bool = False
    # Unicode form of the text: NFC keeps every character, NFKC folds compatibility forms (full width, ligatures).
    normalize: Annotated[str, Field(pattern="^(none|nfc|nfkc)$")] = "nfc"
    # Fold upper case to lower case.
    lowercase: bool = False
    seed: int = 1
