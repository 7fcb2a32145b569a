"""A few texts that show what a language model has learnt, for the report: the same for the same weights."""

import unicodedata
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

from tokenizers import Tokenizer

from pipeline.batches.reverse import reverse_document
from pipeline.language_model.gaps import Guess, fill_mask, fill_span
from pipeline.language_model.generation import CANNOT_CONTINUE, generate
from pipeline.language_model.sampling import GREEDY, Sampling
from pipeline.models.build import Network
from pipeline.models.encoder_decoder import EncoderDecoder
from pipeline.models.transformer import Transformer
from pipeline.shards.read import TokenCorpus
from pipeline.text.specials import BOS, SPECIALS

PROMPT, WRITTEN = 8, 40  # tokens
WINDOW, SPAN = 32, 3  # tokens of a text with a gap, and of the gap where a span is asked for
DRAWN = Sampling(temperature=0.8, seed=1)

Sample = dict[str, Any]


def sample_texts(
    network: Network, tokenizer: Path, direction: str, objective: str, validation: TokenCorpus
) -> list[Sample]:
    """Three samples, as JSON, of what the network was trained for; none where it does not predict tokens.

    Continuations (a decoder's objectives) of the beginning of a validation document, or of its end for direction
    backward, and of nothing at all; gaps in that document (an encoder's, and spans). Each sample is a text in three
    parts, `before`, `written` by the network, and `after`, with `how` it was written; for a gap also the `original`
    and the network's best `guesses` with their `probability`.
    """
    loaded = Tokenizer.from_file(str(tokenizer))
    window = _beginning(validation, direction)[: min(WINDOW, network.settings.max_positions - 2)]
    if objective in ("masked", "hybrid") and isinstance(network, Transformer) and network.settings.family == "encoder":
        shifted = objective == "hybrid"
        return [
            _gap(loaded, direction, cut, fill_mask(network, cut.before, cut.after, shifted=shifted))
            for cut in _cuts(window, 1)
        ]
    if objective == "spans" and isinstance(network, EncoderDecoder):
        return [
            _gap(loaded, direction, cut, [fill_span(network, cut.before, cut.after, tokens=2 * SPAN)])
            for cut in _cuts(window, SPAN)
        ]
    if objective == "replaced_tokens" or network.settings.family in CANNOT_CONTINUE:
        return []
    prompt = _whole_characters(loaded, window[:PROMPT], direction)
    plan: list[tuple[list[int], Sampling, str]] = [
        (prompt, GREEDY, "greedy"),
        (prompt, DRAWN, "temperature 0.8"),
        ([], DRAWN, "temperature 0.8"),
    ]
    return [_continuation(network, loaded, direction, *one) for one in plan]


def _continuation(
    network: Network, tokenizer: Tokenizer, direction: str, prompt: list[int], sampling: Sampling, how: str
) -> Sample:
    tokens = min(WRITTEN, network.settings.max_positions - len(prompt))
    (written,) = generate(network, [BOS, *prompt], tokens=tokens, sampling=sampling)
    before, after = in_text_order(decode(tokenizer, prompt, direction), "", direction)
    return {"how": how, "before": before, "written": decode(tokenizer, written, direction), "after": after}


class _Cut(NamedTuple):
    """A text with a gap, in the order of reading; <bos> is the first token."""

    before: list[int]
    taken: list[int]
    after: list[int]


def _cuts(window: list[int], size: int) -> list[_Cut]:
    """Gaps of `size` tokens at three places of a text; none where it is too short to say anything about them."""
    places = [quarter * len(window) // 4 for quarter in (1, 2, 3)] if len(window) >= 4 * size else []
    return [_Cut([BOS, *window[:at]], window[at : at + size], window[at + size :]) for at in places]


def _gap(tokenizer: Tokenizer, direction: str, cut: _Cut, guesses: list[Guess]) -> Sample:
    first, second = (decode(tokenizer, part, direction) for part in (cut.before, cut.after))
    before, after = in_text_order(first, second, direction)
    texts = [decode(tokenizer, guess.tokens, direction) for guess in guesses]
    return {
        "how": "gap",
        "before": before,
        "written": texts[0],
        "after": after,
        "original": decode(tokenizer, cut.taken, direction),
        "guesses": [
            {"text": text, "probability": round(guess.probability, 4)}
            for text, guess in zip(texts, guesses, strict=True)
        ],
    }


def decode(tokenizer: Tokenizer, tokens: Sequence[int], direction: str) -> str:
    """The text of tokens in the order in which the network reads them, special tokens left out.

    Half a character where the tokens end is left out too; anything else that is no UTF-8, and control characters,
    which a terminal would obey, become U+FFFD.
    """
    text = tokenizer.decode(list(tokens[::-1] if direction == "backward" else tokens), skip_special_tokens=True)
    text = text.lstrip("\ufffd") if direction == "backward" else text.rstrip("\ufffd")
    return "".join("\ufffd" if unicodedata.category(c) == "Cc" and c not in "\n\t" else c for c in text)


def in_text_order(first: str, second: str, direction: str) -> tuple[str, str]:
    """Two texts that were read in this order, in the order in which they stand in the text."""
    return (second, first) if direction == "backward" else (first, second)


def _beginning(validation: TokenCorpus, direction: str) -> list[int]:
    """Text of the first document that fills a window, or else of the longest, in the order of reading."""
    if not len(validation):
        return []
    lengths = validation.lengths().clip(max=WINDOW)
    tokens = validation.document(int(lengths.argmax()))
    read = reverse_document(tokens) if direction == "backward" else tokens
    return [token for token in read.tolist() if token >= len(SPECIALS)]


def _whole_characters(tokenizer: Tokenizer, tokens: list[int], direction: str) -> list[int]:
    """The longest beginning of these tokens that ends where a character does."""
    while tokens:
        text = tokenizer.decode(tokens[::-1] if direction == "backward" else tokens)
        if not (text.startswith("\ufffd") if direction == "backward" else text.endswith("\ufffd")):
            break
        tokens = tokens[:-1]
    return tokens
