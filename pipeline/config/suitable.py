"""Which networks each objective can train, and why not the others (no torch needed)."""

from pipeline.models.settings import LSTMSettings, ModelSettings

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


def unsuitable(name: str, settings: ModelSettings) -> str | None:
    """Why this objective cannot train a network of these settings, as a clause; None if it can.

    `hybrid` uses one stack with both masks, whatever its family's own is.
    """
    if isinstance(settings, LSTMSettings):
        return None if name == "causal" else "an LSTM reads one way, token after token, and can be causal alone"
    if reason := _UNSUITABLE[name].get(settings.family):
        return reason
    if name == "hybrid" and settings.attention == "fast_weight":
        return "`attention: fast_weight` writes token after token, so it cannot see both sides"
    if name == "prefix" and settings.attention != "softmax":
        return f"`attention: {settings.attention}` cannot see a part of its row both ways; take `attention: softmax`"
    return None


def one_way(settings: ModelSettings) -> str | None:
    """Why a network of these settings can only see what is before a token, as a clause; None if it need not."""
    if isinstance(settings, LSTMSettings):
        return "an LSTM reads one way"
    if settings.attention == "fast_weight":
        return "`attention: fast_weight` writes token after token"
    return None
