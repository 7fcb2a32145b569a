"""AWD-LSTM: a language model of LSTM layers, all dropped out in ways that a recurrent network can bear.

Merity et al. 2018, "Regularizing and Optimizing LSTM Language Models"; the backbone of ULMFiT (Howard & Ruder 2018).
"""

import math
from typing import Self

import torch
from torch import Tensor, nn

from pipeline.models.backbone import Backbone, LayerGroups, level, linear_weights
from pipeline.models.cache import Cache
from pipeline.models.dropout import MIX_1, SeededDropout
from pipeline.models.settings import LSTMSettings
from pipeline.models.weights import Embedding, Linear


class LSTMLayer(nn.Module):
    """One LSTM layer (Hochreiter & Schmidhuber 1997; forget gates: Gers et al. 2000), its recurrent matrix dropped.

        i, f, g, o = input(x_t) + recurrent(h_{t-1})    i, f, o through a sigmoid, g through tanh
        c_t = f * c_{t-1} + i * g
        h_t = o * tanh(c_t)

    The two linear maps hold the weights; torch's kernel (oneDNN's, cuDNN's) runs them over the whole sequence. They
    start with the variance of torch's uniform(-1/sqrt(h), 1/sqrt(h)), which the original uses, but normal like every
    matrix here, and with biases of zero.
    """

    def __init__(self, inputs: int, width: int, weight_dropout: float, site: int) -> None:
        """`site`: number of its weight dropout in the network."""
        super().__init__()
        std = 1 / math.sqrt(3 * width)
        self.input = Linear(inputs, 4 * width, bias=True, std=std)
        self.recurrent = Linear(width, 4 * width, bias=True, std=std)
        self.weight_dropout = SeededDropout(weight_dropout, site)

    def forward(self, x_BTI: Tensor, step_seed_1: Tensor | None, cache: Cache | None) -> Tensor:
        """Hidden states (B, T, width).

        Args:
            x_BTI: inputs of the layer.
            step_seed_1: int64 noise of the recurrent matrix (DropConnect: Wan et al. 2013), None for none. One mask
                serves all sequences and all times, so the kernel sees a matrix like any other.
            cache: the state after the tokens before `x_BTI` is taken from it, if it has one, and the new one is put in.
        """
        matrix = self.weight_dropout(self.recurrent.weight[None], step_seed_1)[0]
        weights = [self.input.weight, matrix, self.input.bias, self.recurrent.bias]
        if cache is not None and self in cache.states:
            state_BH, cell_BH = cache.states[self]
        else:
            state_BH = cell_BH = x_BTI.new_zeros(len(x_BTI), self.recurrent.in_features)
        # oneDNN's bf16 kernel takes four times as long as its fp32 one, so autocast goes no further on a CPU.
        with torch.autocast("cpu", enabled=False):
            hidden_BTH, state_1BH, cell_1BH = torch.lstm(
                x_BTI,
                (state_BH[None], cell_BH[None]),
                weights,
                has_biases=True,
                num_layers=1,
                dropout=0.0,
                train=torch.is_grad_enabled(),  # whether cuDNN keeps what its backward pass needs
                bidirectional=False,
                batch_first=True,
            )
        if cache is not None:
            cache.states[self] = (state_1BH[0], cell_1BH[0])
        return hidden_BTH


class AWDLSTM(Backbone):
    """Embeddings, LSTM layers, and the embeddings again as output matrix.

    Four kinds of dropout (Merity et al. 2018, section 4): whole words of a sequence; the same channels at all times of
    a sequence ("locked" or variational, Gal & Ghahramani 2016), on what enters the first layer, between the layers and
    on what leaves the last; and elements of the recurrent matrices, the same for a whole optimiser step. The first two
    are functions of the sequence's seed alone, the last of the step's, which `begin_step` says.
    """

    def __init__(self, settings: LSTMSettings, vocabulary: int) -> None:
        super().__init__(settings, vocabulary)
        D, N = settings.width, settings.layers
        # Tokens enter as weight * sqrt(D), as in `Transformer`. The original has no factor, and nearly the same weights
        # (uniform(-0.1, 0.1), an RMS of 0.058; here 0.05 at its D = 400): its layers start on inputs close to zero.
        # Division of the first layer's input matrix by sqrt(D) turns one network into the other.
        self.scale = math.sqrt(D)
        self.embeddings = Embedding(vocabulary, D, std=1 / self.scale)
        self.word_dropout = SeededDropout(settings.embedding_dropout, site=0)
        rates = [settings.input_dropout, *[settings.hidden_dropout] * (N - 1), settings.output_dropout]
        self.locked_dropouts = nn.ModuleList(SeededDropout(rate, site) for site, rate in enumerate(rates, start=1))
        # Of what enters the first layer, and of what each layer gives.
        self.widths = widths = [D, *[settings.hidden] * (N - 1), D]
        self.layers = nn.ModuleList(
            LSTMLayer(widths[n], widths[n + 1], settings.weight_dropout, site=N + 2 + n) for n in range(N)
        )
        self.transform = self.transform_norm = None
        self.output = None if settings.tied else Embedding(vocabulary, D, std=1 / self.scale)
        self.output_bias = nn.Parameter(torch.zeros(vocabulary))
        self.step_seed: int | None = None

    def begin_step(self, seed: int) -> None:
        """Draw the recurrent matrices' dropout anew: to be called before each optimiser step, equal on all processes.

        Until it is called for the first time, these matrices are not dropped.
        """
        self.step_seed = seed % 2**63

    def forward(
        self,
        tokens_BT: Tensor,
        *,
        lengths_B: Tensor | None = None,
        causal: bool | None = None,
        prefix_B: Tensor | None = None,
        seeds_B: Tensor | None = None,
        cache: Cache | None = None,
        every_layer: bool = False,
    ) -> Tensor:
        """Hidden states `hidden_BTD` of the last layer.

        Args:
            tokens_BT: int64 token numbers, rows padded on the right; T at most `settings.max_positions`.
            lengths_B: true lengths of the rows. Not needed, as nothing is read backward; states of padding mean
                nothing.
            causal: None or True, the only way in which a recurrent network reads.
            prefix_B: None, for the same reason.
            seeds_B: int64 dropout noise, one number for each row; no dropout without it, nor in `eval()`.
            cache: reads on after `cache.length` tokens and advances it, for generation and for truncated
                backpropagation through time. Gradients flow into what it holds unless the caller detaches that. With
                it rows must not be padded.
            every_layer: put those of the embeddings and of the layers below before them, (B, T, sum(state_widths())).

        Raises:
            ValueError: for `causal=False` or a prefix, and for more tokens than `settings.max_positions`.
        """
        if causal is False or prefix_B is not None:
            raise ValueError("a recurrent network reads one way: it has neither `causal=False` nor a prefix")
        B, T = tokens_BT.shape
        if self.settings.max_positions < T:
            raise ValueError(f"{T} tokens are more than the model's {self.settings.max_positions} positions")
        step_seed_1 = None
        if seeds_B is not None and self.step_seed is not None:
            step_seed_1 = torch.tensor([self.step_seed], device=tokens_BT.device)
        x_BTD = self._drop_words(self.embeddings(tokens_BT) * self.scale, tokens_BT, seeds_B)  # (B, T, D)
        before, *after = self.locked_dropouts
        x_BTD = before(x_BTD, seeds_B, (B, 1, x_BTD.size(2)))
        below = []
        for layer, dropout in zip(self.layers, after, strict=True):
            if every_layer:
                below.append(level(x_BTD))
            x_BTD = layer(x_BTD, step_seed_1, cache)  # (B, T, hidden), the last (B, T, D)
            x_BTD = dropout(x_BTD, seeds_B, (B, 1, x_BTD.size(2)))
        if cache is not None:
            cache.length += T
        return torch.cat([*below, x_BTD], dim=-1) if below else x_BTD

    def _drop_words(self, x_BTD: Tensor, tokens_BT: Tensor, seeds_B: Tensor | None) -> Tensor:
        """Drop some words wherever they stand in a sequence: the noise is the sequence's and the token number's."""
        if seeds_B is None:
            return x_BTD
        seeds_N = (seeds_B[:, None] + tokens_BT * MIX_1).flatten()  # one for each word of each sequence
        return self.word_dropout(x_BTD.flatten(0, 1), seeds_N, (len(seeds_N), 1)).view_as(x_BTD)

    def input_embeddings(self) -> Embedding:
        """The embeddings (V, D) of the tokens."""
        return self.embeddings

    def reader(self) -> Self:
        """What a classifier reads with: this network, from now on without its way out."""
        self.drop_way_out()
        return self

    def state_widths(self) -> list[int]:
        """How wide the states of the embeddings and of each layer are."""
        return self.widths

    def layer_groups(self) -> LayerGroups:
        """Parameters from input to output, each in one group: embeddings, layer 1, ..., the last with what follows."""
        groups = [("embeddings", list(self.embeddings.parameters()))]
        groups += [(f"layer {n}", list(layer.parameters())) for n, layer in enumerate(self.layers, start=1)]
        groups[-1][1].extend(self.way_out_parameters())
        return groups

    def hidden_matrices(self) -> list[nn.Parameter]:
        """The matrices of the layers: what Muon may own."""
        return linear_weights(self.layers)

    def flops_per_token(self, length: int) -> float:
        """Floating-point operations of training on one token, forward and backward: 6 for each weight of a matrix.

        The same for every `length`.
        """
        return 6.0 * (sum(matrix.numel() for matrix in self.hidden_matrices()) + self.scored_weights())
