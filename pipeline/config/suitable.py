"""Which networks each objective can train, and why not the others (no torch needed)."""

from collections.abc import Mapping
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


def _blind_ahead(network: Reading) -> bool:
    """Its table has a number for each distance back and one for all ahead (`T5Bias`): what follows has no order."""
    return (network.family, network.positions) == ("decoder", "t5")
