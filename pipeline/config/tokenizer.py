"""Schema of `configs/tokenizer/*.yaml`."""

from dataclasses import dataclass
from typing import Annotated, Literal

from pydantic import Field

from pipeline.config.numbers import Count, Positive, Seed


@dataclass(frozen=True)
class TokenizerConfig:
    """A byte-level BPE tokenizer, trained on a bounded sample."""

    # Entries in all: 106 special tokens, 256 bytes, and merges; fewer where the sample is too small.
    vocabulary: Annotated[int, Field(ge=362, le=1_000_000)] = 8192
    # A merge must occur this often in the sample.
    min_frequency: Count = 2
    # Text the tokenizer is trained on, in megabytes of UTF-8, a random sample of the whole corpus. Training takes
    # about 5 MB of memory for each where words are spaced, up to 120 MB where they are not (Chinese, genomes).
    sample_megabytes: Positive = 20
    # Let the domain's training text make up half of the sample; a change of domain then makes a new tokenizer and
    # language model.
    include_domain: bool = False
    # Unicode form of the text: NFC keeps every character, NFKC folds compatibility forms (full width, ligatures).
    normalize: Literal["none", "nfc", "nfkc"] = "nfc"
    # Fold upper case to lower case.
    lowercase: bool = False
    # Draws the sample.
    seed: Seed = 1
