"""What every network of this tree has: embeddings where tokens enter, and scores of the vocabulary where they leave."""

import math
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from pipeline.models.dropout import set_drop_mult
from pipeline.models.norms import norm
from pipeline.models.settings import ModelSettings, TransformerSettings
from pipeline.models.weights import Embedding, Linear, inner_std

LayerGroups = list[tuple[str, list[nn.Parameter]]]


class Backbone(nn.Module):
    """Base of `Transformer`, `EncoderDecoder` and `AWDLSTM`: the way out, from hidden states to scores.

    The weights are not set until `build` has drawn them or a file has filled them.
    """

    settings: Any
    transform: Linear | None
    transform_norm: nn.Module | None
    # Whether it still has its way out.
    scores: bool = True
    # The output embeddings (V, E) where they are not those of the input, and a bias (V).
    output: Embedding | None
    output_bias: nn.Parameter | None

    def __init__(self, settings: ModelSettings, vocabulary: int) -> None:
        super().__init__()
        self.settings, self.vocabulary = settings, vocabulary

    def make_way_out(self) -> None:
        """Create the modules between the last hidden states and the scores, as a Transformer's settings ask for."""
        settings, D, E = self.settings, self.settings.width, self.settings.token_width
        self.transform = self.transform_norm = None
        if settings.output_transform:
            self.transform = Linear(D, E, bias=settings.bias, std=inner_std(settings))
            self.transform_norm = norm(settings, E)
        elif E != D:
            self.transform = Linear(D, E, bias=False, std=inner_std(settings))
        self.output = None if settings.tied else token_embeddings(settings, self.vocabulary)
        self.output_bias = nn.Parameter(torch.zeros(self.vocabulary)) if settings.output_bias else None

    def drop_way_out(self) -> None:
        """Forget what stands between the last hidden states and the scores; nothing trains it any more."""
        self.transform, self.transform_norm, self.output, self.output_bias = None, None, None, None
        self.scores = False

    def input_embeddings(self) -> Embedding:
        """The embeddings (V, E) of the tokens."""
        raise NotImplementedError

    def readout(self, hidden_ND: Tensor) -> Tensor:
        """What the output matrix scores, (N, E): the hidden states, or what the output transform makes of them."""
        if self.transform is None:
            return hidden_ND
        read_NE = self.transform(hidden_ND)
        return read_NE if self.transform_norm is None else self.transform_norm(F.gelu(read_NE))

    def output_matrix(self) -> Tensor:
        """The matrix (V, E) whose rows score the tokens: `readout(hidden_ND) @ output_matrix().T + output_bias`."""
        return (self.input_embeddings() if self.output is None else self.output).weight

    def unembed(self, hidden_ND: Tensor) -> Tensor:
        """Scores `logits_NV` of the vocabulary, natural logarithms up to a constant."""
        return F.linear(self.readout(hidden_ND), self.output_matrix(), self.output_bias)

    def scored_weights(self) -> int:
        """Numbers that a hidden state is multiplied with on its way out."""
        if not self.scores:
            return 0
        return self.output_matrix().numel() + (0 if self.transform is None else self.transform.weight.numel())

    def way_out_parameters(self) -> list[nn.Parameter]:
        """Parameters of the way out that are no input embeddings."""
        modules = (self.transform, self.transform_norm, self.output)
        found = [parameter for module in modules if module is not None for parameter in module.parameters()]
        return found if self.output_bias is None else [*found, self.output_bias]

    def state_widths(self) -> list[int]:
        """How wide the states of the embeddings and of each layer are: what a classifier may read."""
        raise NotImplementedError

    def layer_groups(self) -> LayerGroups:
        """Parameters from input to output, each in one group; what trains together in gradual unfreezing."""
        raise NotImplementedError

    def hidden_matrices(self) -> list[nn.Parameter]:
        """Weights of the linear layers inside the blocks: what Muon may own."""
        raise NotImplementedError

    def set_drop_mult(self, factor: float) -> None:
        """Scale every dropout rate of the settings by `factor`; `ValueError` if one would reach 1."""
        set_drop_mult(self, factor)

    def begin_step(self, seed: int) -> None:
        """Told before each optimiser step; noise that a whole step shares comes from `seed`. Here there is none."""


def embedding_scale(settings: TransformerSettings) -> float:
    """What embeddings are multiplied with where tokens enter.

    With sqrt(E) they enter with unit RMS at first, while the same rows as output matrix give scores of unit variance
    (Vaswani et al. 2017, section 3.4).
    """
    return math.sqrt(settings.token_width) if settings.scale_embeddings else 1.0


def token_embeddings(settings: TransformerSettings, vocabulary: int) -> Embedding:
    """An embedding table (V, E), small enough at first for what `embedding_scale` makes of it."""
    std = 1 / embedding_scale(settings) if settings.scale_embeddings else inner_std(settings)
    return Embedding(vocabulary, settings.token_width, std=std)


def level(hidden_BTD: Tensor) -> Tensor:
    """States from below the last layer, which no norm of the network has seen, with zero mean and unit variance."""
    return F.layer_norm(hidden_BTD, hidden_BTD.shape[-1:])


def linear_weights(module: nn.Module) -> list[nn.Parameter]:
    """The matrices of all linear layers in `module`."""
    return [part.weight for part in module.modules() if isinstance(part, Linear)]


def attention_flops(settings: TransformerSettings, seen: int) -> float:
    """Training operations of one layer's attention on one token that sees `seen` others, without the projections.

    Scores and their sums are 12 per channel and token seen, counted in full though a causal mask needs half of it
    (Chowdhery et al. 2022, appendix B). The kinds that keep a state of constant size go through that instead.
    """
    channels = settings.heads * settings.key_width
    state = {"softmax": seen, "performer": settings.features}.get(settings.attention, settings.key_width)
    return 12.0 * channels * state
