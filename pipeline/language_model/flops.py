"""Floating-point operations of training a language model on one token.

A multiplication and an addition count as two. A weight that a token is multiplied with costs 2 in the forward pass, 2
for the gradient of its input and 2 for its own (Kaplan et al. 2020, section 2.1: C = 6 N per token); attention costs
12 H K T per layer and token of a row of T (Hoffmann et al. 2022, appendix F, without its embedding and softmax terms;
Chowdhery et al. 2022, appendix B, counts as here). Embedding a token is a look-up and costs nothing.
"""

from typing import Any, NamedTuple

from pipeline.config.language_model import LanguageModelConfig
from pipeline.models.attention import CrossAttention
from pipeline.models.backbone import attention_flops, linear_weights
from pipeline.models.encoder_decoder import EncoderDecoder
from pipeline.objectives.masked import Masking
from pipeline.objectives.replaced_tokens import ReplacedTokenDetection
from pipeline.objectives.spans import Spans


class Flops(NamedTuple):
    """Operations on one token."""

    forward: float
    backward: float

    @property
    def both(self) -> float:
        """Of a training step."""
        return self.forward + self.backward


def language_model_flops(trainee: Any, config: LanguageModelConfig) -> Flops:
    """Operations on one token of a window, when all of `trainee` (what `task_of` gives) trains.

    The network's own `flops_per_token` scores the vocabulary at every token. Objectives that ask for few tokens score
    those alone; span corruption shortens both sides.
    """
    T = config.length
    if isinstance(trainee, EncoderDecoder):
        return _thirds(_of_spans(trainee, config) / T)
    whole = trainee.flops_per_token(T)
    if isinstance(trainee, ReplacedTokenDetection):
        # Its own count, and a draw from the generator's scores, which is a forward pass alone.
        drawn = 2.0 * trainee.generator.scored_weights() * trainee.targets(T) / T
        return Flops(whole / 3 + drawn, whole * 2 / 3)
    if config.objective in ("masked", "hybrid"):
        rows = config.masked_share if config.objective == "hybrid" else 1.0
        unasked = 1 - Masking(trainee.vocabulary, config.mask_rate).count(T) / T
        whole -= 6.0 * trainee.scored_weights() * rows * unasked
    return _thirds(whole)


def _of_spans(network: EncoderDecoder, config: LanguageModelConfig) -> float:
    """Operations of one window: S tokens are read, N are written."""
    objective = Spans(config.mask_rate, config.span_length)
    counts = objective.counts(config.length)
    S, N = config.length - counts.taken + counts.spans, int(objective.targets(config.length))
    settings, encoder = network.settings, network.encoder
    keys = sum(part.kv.weight.numel() for part in network.modules() if isinstance(part, CrossAttention))
    writing = sum(weight.numel() for weight in linear_weights(network.decoder_stack)) - keys
    read = 6.0 * (sum(weight.numel() for weight in encoder.hidden_matrices()) + keys)
    read += settings.layers * attention_flops(settings, S)
    crossing = 12.0 * settings.heads * settings.key_width * S
    written = 6.0 * (writing + network.scored_weights())
    written += settings.layers * (attention_flops(settings, N) + crossing)
    return S * read + N * written


def _thirds(flops: float) -> Flops:
    return Flops(flops / 3, flops * 2 / 3)
