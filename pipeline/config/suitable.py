"""Which networks each objective can train, on rows of which length, and why not the others (no torch needed)."""

from collections.abc import Mapping
from itertools import count
from typing import Any, NamedTuple

from pipeline.models.settings import LSTMSettings, ModelSettings, TransformerSettings

# By name of the objective: for each family that it cannot train, why.
_UNSUITABLE: dict[str, dict[str, str]] = {
    "causal": {
        "encoder": "an encoder sees the tokens that it would have to predict",
        "encoder_decoder": "an encoder_decoder has to read something before it writes; take `objective: spans`",
    },
    "masked": {
        "decoder": "a decoder cannot see what follows a masked token; `objective: hybrid` teaches it to",
        "encoder_decoder": "an encoder_decoder writes what was taken out, which is `objective: spans`",
    },
    "hybrid": {
        "encoder_decoder": "one stack has to read in both ways, and an encoder_decoder has two",
    },
    "spans": {
        "decoder": "the text that is left has to be read by an encoder",
        "encoder": "the spans have to be written by a decoder",
    },
    "prefix": {
        "encoder": "an encoder sees the tokens after the prefix, which it would have to predict",
        "encoder_decoder": "prefix and continuation belong into one stack; take `objective: spans`",
    },
    "replaced_tokens": {
        "decoder": "a decoder cannot see what follows a token that may be a replacement",
        "encoder_decoder": "telling replacements from text needs an encoder alone",
    },
}
OBJECTIVE_NAMES = tuple(_UNSUITABLE)
MOST_SPANS = 99  # of a row: every span has a sentinel of the tokenizer's 100, and one more ends them
BLIND_AHEAD = "with `positions: t5` a decoder cannot tell in which order the tokens after one stand"


class Reading(NamedTuple):
    """How a network reads, which is all that an objective asks of it."""

    # That of `TransformerSettings`, or lstm.
    family: str
    attention: str = "softmax"
    positions: str = "rotary"


def reading(settings: ModelSettings) -> Reading:
    """How a network of these settings reads."""
    if isinstance(settings, LSTMSettings):
        return Reading("lstm")
    return Reading(settings.family, settings.attention, settings.positions)


def reading_of(model: Mapping[str, Any]) -> Reading:
    """The same from the keys of a model's config, before they have been checked."""
    if model.get("backbone") == "lstm":
        return Reading("lstm")
    return Reading(*(str(model.get(key, getattr(TransformerSettings, key))) for key in Reading._fields))


def unsuitable(name: str, network: Reading) -> str | None:
    """Why this objective cannot train a network that reads so, as a clause; None if it can.

    `hybrid` uses one stack with both masks, whatever its family's own is.
    """
    if network.family == "lstm":
        return None if name == "causal" else "an LSTM reads one way, token after token, and can be causal alone"
    if reason := _UNSUITABLE[name].get(network.family):
        return reason
    if name == "hybrid" and network.attention == "fast_weight":
        return "`attention: fast_weight` writes token after token, so it cannot see both sides"
    if name in ("hybrid", "prefix") and _blind_ahead(network):
        return f"{BLIND_AHEAD}; take rotary"
    if name == "prefix" and network.attention != "softmax":
        return f"`attention: {network.attention}` cannot see a part of its row both ways; take `attention: softmax`"
    return None


class SpanCounts(NamedTuple):
    """What span corruption cuts a text of so many tokens into; all rows of a length alike."""

    # Tokens that are taken out.
    taken: int
    # In so many spans.
    spans: int

    @property
    def written(self) -> int:
        """Tokens that the decoder reads and writes: each span behind a sentinel, and <bos> or a last sentinel."""
        return self.taken + self.spans + 1


def span_counts(rate: float, span_length: float, length: int) -> SpanCounts:
    """How many of `length` tokens are taken out, for a share of them and a mean length of the spans."""
    taken = min(max(1, round(rate * length)), length - 1)
    return SpanCounts(taken, min(max(1, round(taken / span_length)), taken, length - taken))


def unspannable(rate: float, span_length: float, length: int, positions: int | None = None) -> str | None:
    """Why spans cannot be taken out of rows of this length, as a clause; None if they can.

    positions: of the network, if they count as well.
    """
    if length < 2:
        return "`objective: spans` needs a `length` of 2 at least: a token to take out and one to leave"
    counts = span_counts(rate, span_length, length)
    if counts.spans > MOST_SPANS:
        longest = next(tokens for tokens in count(2) if span_counts(rate, span_length, tokens + 1).spans > MOST_SPANS)
        return (
            f"`length: {length}` makes {counts.spans} spans, but the {MOST_SPANS + 1} sentinels serve {MOST_SPANS}; "
            f"take a lower `mask_rate`, a longer `span_length` or a `length` of at most {longest}"
        )
    if positions is not None and counts.written > positions:
        return (
            f"of `length: {length}` the decoder writes {counts.written} tokens ({counts.taken} in {counts.spans} "
            f"spans), and the network has {positions} positions; take a lower `mask_rate`, a longer `span_length` or a "
            "shorter `length`"
        )
    return None


def wordless(network: Reading) -> str | None:
    """Why `bag_of_words` cannot be asked of such a network, as a clause; None if it can."""
    return (
        "an LSTM's windows go on from one another, not from a document's first part"
        if network.family == "lstm"
        else None
    )


def one_way(network: Reading) -> str | None:
    """Why such a network should only see what is before a token, as a clause; None if it need not."""
    if network.family == "lstm":
        return "an LSTM reads one way"
    if network.attention == "fast_weight":
        return "`attention: fast_weight` writes token after token"
    return BLIND_AHEAD if _blind_ahead(network) else None


def carried(network: Reading) -> str | None:
    """Why chunks of a document must not overlap for such a network, as a clause; None if they may."""
    return "an LSTM goes on from chunk to chunk; write `overlap: 0`" if network.family == "lstm" else None


def _blind_ahead(network: Reading) -> bool:
    """Its table has a number for each distance back and one for all ahead (`T5Bias`): what follows has no order."""
    return (network.family, network.positions) == ("decoder", "t5")
