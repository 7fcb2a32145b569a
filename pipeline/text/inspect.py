"""A closer look at texts than preparing them needs: scripts without spaces, damaged encodings, repeats."""

import re
from collections.abc import Sequence

from pipeline.text.overlap import near_repeats, ngrams

# Thai and Lao, Burmese, Khmer, Japanese kana, Chinese characters: scripts that put no spaces between words.
UNSPACED = re.compile(r"[\u0e00-\u0eff\u1000-\u109f\u1780-\u17ff\u3040-\u30ff\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff]")
# What UTF-8 looks like when it was read as Latin-1 or Windows-1252 and saved again.
MOJIBAKE = re.compile(r"[ÃÂ][\x80-\xbf€‚ƒ„…†‡ˆ‰Š‹ŒŽ‘’“”•–—˜™š›œžŸ]|â€[\x80-\xbf™œ˜“”¦¢]")
REPLACED = "\ufffd"
CONTROL = re.compile(r"[\x00-\x08\x0b\x0c\x0e-\x1f\x7f]")


def is_spaced(texts: Sequence[str]) -> bool:
    """Whether words are separated by spaces: less than a fifth of the characters are of scripts without.

    >>> is_spaced(["two words"]), is_spaced(["机器学习"]), is_spaced(["기계 학습"])
    (True, False, True)
    """
    return 5 * sum(len(UNSPACED.findall(text)) for text in texts) < sum(map(len, texts))


def encoding_problems(texts: Sequence[str]) -> dict[str, int]:
    """Texts that show each sign of a wrong encoding somewhere on their way; signs without a text are left out."""
    signs = {
        "UTF-8 that was once read as Latin-1 (Ã©, â€™)": lambda text: MOJIBAKE.search(text),
        "characters lost in a conversion (\ufffd)": lambda text: REPLACED in text,
        "control characters": lambda text: CONTROL.search(text),
    }
    found = {name: sum(bool(sign(text)) for text in texts) for name, sign in signs.items()}
    return {name: count for name, count in found.items() if count}


def near_duplicates(texts: Sequence[str], *, spaced: bool) -> int:
    """Texts that nearly repeat earlier ones (see `pipeline.text.overlap`); exact copies are not counted."""
    distinct = list(dict.fromkeys(texts))
    return int(near_repeats(ngrams(distinct, spaced=spaced)).sum())
