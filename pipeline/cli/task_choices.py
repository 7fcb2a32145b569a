"""What `ulmfit new-task` chooses beside the task: whether its text is read as domain; and what it advises to choose."""

from collections.abc import Mapping
from typing import Any

from pipeline.config.chosen import chosen
from pipeline.config.dataset import DatasetConfig
from pipeline.config.language_model import PretrainConfig
from pipeline.config.tokenizer import TokenizerConfig

DOMAIN_CHARACTERS = 100_000  # least text that is worth adapting a language model to
# In UTF-8, of a character of the text: that of English and its kin is one or little more, others have two or three. A
# tokenizer of English text takes about a token for each byte of these, one of their own text a token for two to four
# characters (measured on Arabic, Chinese, Greek, Hindi, Japanese, Korean, Russian, Thai).
FOREIGN_BYTES = 1.5

LEARN = "The language model learns from all of its text but the held-out parts, labelled or not."
TOO_LITTLE = """\
Its text is too little to adapt a language model to, to teach linear models which words belong together, and to teach a
student on. More text of the kind helps more than anything else and needs no labels: give it with --unlabelled FILE."""
ALONE = """\
There is no generic text, so tokenizer and language model learn from this alone, which is little. More text of the kind
helps more than anything else and needs no labels: give it with --unlabelled FILE."""
FROM_IT_TOO = """\
To {tokenizer} this text has more tokens than characters. A tokenizer that learns from it too:
`ulmfit use tokenizer=bpe_8k_domain`; tokenizer and network from this text alone: `ulmfit use generic=none`."""
FROM_IT_ALONE = """\
To {tokenizer} this text has more tokens than characters. To learn from this text alone, and
better from more of it: `ulmfit use generic=none domain={name}`."""


def domain_of(name: str, characters: int) -> tuple[str, str]:
    """The domain beside a task that brings so many characters of text, and why."""
    if characters >= DOMAIN_CHARACTERS:
        return name, LEARN
    return (name, ALONE) if _from_scratch() and not _has_generic() else ("none", TOO_LITTLE)


def advice(name: str, domain: str, numbers: Mapping[str, Any]) -> str | None:
    """What to choose where the tokenizer to come has hardly seen the characters of the audited texts; else None."""
    if not (_from_scratch() and _has_generic() and _is_foreign(numbers)):
        return None
    tokenizer = "the tokenizer in models/tokenizer" if numbers["tokens"] else "a tokenizer of the generic text"
    if domain != name:
        return FROM_IT_ALONE.format(tokenizer=tokenizer, name=name)
    return None if chosen("tokenizer", TokenizerConfig).include_domain else FROM_IT_TOO.format(tokenizer=tokenizer)


def _from_scratch() -> bool:
    """Whether there is no finished model, which brings its tokenizer."""
    return chosen("pretrain", PretrainConfig).start == "scratch"


def _has_generic() -> bool:
    return chosen("generic", DatasetConfig).path != "none"


def _is_foreign(numbers: Mapping[str, Any]) -> bool:
    """Whether texts have more tokens than characters; without a tokenizer, by bytes if the shipped English makes it."""
    characters = numbers["characters"]["total"]
    if numbers["tokens"]:
        documents = sum(part["documents"] for part in numbers["parts"].values())
        return bool(numbers["tokens"]["total"] - 2 * documents > characters)  # without <bos> and <eos>
    return chosen("generic", DatasetConfig).path == "embedded" and bool(numbers["bytes"] > FOREIGN_BYTES * characters)
