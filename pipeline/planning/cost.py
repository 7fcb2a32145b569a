"""Floating-point operations of training: of a token, of a phase that trains only some layers, of an update.

A multiplication and an addition count as two. A weight that a token is multiplied with costs 2 in the forward pass, 2
for the gradient of its input and 2 for its own (Kaplan et al. 2020, section 2.1: C = 6 N per token); attention costs
12 H K T per layer and token of a row of T (Hoffmann et al. 2022, appendix F, without its embedding and softmax terms;
Chowdhery et al. 2022, appendix B, counts as here). Embedding a token is a look-up and costs nothing.
"""

from typing import Any, NamedTuple

from torch import nn

from pipeline.config.language_model import LanguageModelConfig
from pipeline.models.attention import CrossAttention
from pipeline.models.backbone import attention_flops, linear_weights
from pipeline.models.encoder_decoder import EncoderDecoder
from pipeline.models.settings import LSTMSettings
from pipeline.objectives.masked import Masking
from pipeline.objectives.replaced_tokens import ReplacedTokenDetection
from pipeline.objectives.spans import Spans
from pipeline.training.optimiser import NEWTON_SCHULZ_STEPS

ADAMW_BYTES = 7 * 4  # of each parameter: reads weight, gradient and two moments, writes weight and moments, in fp32


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
        whole -= 6.0 * (trainee.generator.scored_weights() - _table(trainee)) * (1 - trainee.targets(T) / T)
        whole -= 6.0 * (trainee.discriminator.scored_weights() - _table(trainee))
        return Flops(whole / 3 + drawn, whole * 2 / 3)
    if config.objective in ("masked", "hybrid"):
        rows = config.masked_share if config.objective == "hybrid" else 1.0
        unasked = 1 - Masking(trainee.vocabulary, config.mask_rate).count(T) / T
        whole -= 6.0 * trainee.scored_weights() * rows * unasked
    return _thirds(whole)


def _table(detection: ReplacedTokenDetection) -> int:
    return detection.discriminator.embeddings.weight.numel()


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


def partial_flops(network: Any, length: int, trains: tuple[str, ...] | None, *, gradient_share: float = 1.0) -> Flops:
    """Operations on one token of a classifier's document when only the layer groups named in `trains` train.

    From the lowest group that trains upward a weight passes gradients on, which costs as much as its forward pass; one
    that trains computes its own too, for as much again. Attention has no weights: it costs twice its forward pass.
    Below, nothing flows back. `trains` None: all groups. `gradient_share` of the tokens have gradients at all. The head
    sees a document once, which is not worth counting.
    """
    settings = network.backbone.settings
    forward = network.backbone.flops_per_token(length) / 3
    lstm = isinstance(settings, LSTMSettings)
    attention = 0.0 if lstm else settings.layers * attention_flops(settings, length) / 3
    groups = network.layer_groups()
    matrices = {id(weight): weight.numel() for weight in network.hidden_matrices()}
    sizes = [sum(matrices.get(id(parameter), 0) for parameter in members) for _, members in groups]
    trained = [trains is None or name in trains for name, _ in groups]
    backward = sum(
        size / sum(sizes) * (2 * attention + (1 + own) * (forward - attention))
        for size, own in list(zip(sizes, trained, strict=True))[trained.index(True) :]
    )
    return Flops(forward, backward * gradient_share)


class Update(NamedTuple):
    """One step of the optimiser on what trains."""

    flops: float  # Muon's matrix products
    bytes: float  # AdamW's reading and writing
    # Parameters that train, and the numbers that the optimiser keeps of them.
    parameters: int
    state: int
    # Most numbers that it holds for a moment beside them.
    scratch: int

    @property
    def orthogonalised(self) -> int:
        """Parameters that are Muon's, which keeps one number of each where AdamW keeps two."""
        return 2 * self.parameters - self.state


def update_cost(groups: list[dict[str, Any]]) -> Update:
    """The update of the groups of `parameter_groups`.

    Muon's iteration on a matrix of R rows and C >= R columns, as a CPU does it in fp32: two products of R x R x C, and
    of R x R x R two a step, one more in all but the first, two more in all but the last. On a GPU, and in bf16, it is
    two of R x R x C and one of R x R x R in each of five steps (Jordan et al. 2024), 1.8 times as many operations where
    C = 4 R, of a part that is small there. AdamW computes next to nothing and waits for memory.
    """
    flops, moved, parameters, state, scratch = 0.0, 0.0, 0, 0, 0
    for group in groups:
        sizes = [parameter.numel() for parameter in group["params"]]
        parameters += sum(sizes)
        if group["kind"] == "muon":
            flops += sum(_muon_flops(parameter) for parameter in group["params"])
            state += sum(sizes)
            alike = {parameter.shape: 0 for parameter in group["params"]}
            for parameter in group["params"]:
                alike[parameter.shape] += parameter.numel()
            scratch = max(scratch, 5 * max(alike.values()))  # what `orthogonalise` holds of matrices of one shape
        else:
            moved += ADAMW_BYTES * sum(sizes)
            state += 2 * sum(sizes)
    return Update(flops, moved, parameters, state, scratch)


def _muon_flops(matrix: nn.Parameter) -> float:
    R, C = sorted(matrix.shape)
    square = NEWTON_SCHULZ_STEPS + (NEWTON_SCHULZ_STEPS - 1) + 2 * (NEWTON_SCHULZ_STEPS - 1)
    return 4.0 * R * R * C + square * 2.0 * R**3


def _thirds(flops: float) -> Flops:
    return Flops(flops / 3, flops * 2 / 3)
