"""The Transformer of one stack, decoder or encoder: tokens in, hidden states out, and scores of the vocabulary."""

from typing import Self

from torch import Tensor, nn

from pipeline.models.backbone import (
    Backbone,
    LayerGroups,
    attention_flops,
    embedding_scale,
    linear_weights,
    token_embeddings,
)
from pipeline.models.cache import Cache
from pipeline.models.context import Context
from pipeline.models.dropout import SeededDropout
from pipeline.models.masks import attention_mask, keys_of
from pipeline.models.ngrams import HashedNgrams
from pipeline.models.norms import norm
from pipeline.models.positions import POSITIONS
from pipeline.models.settings import TransformerSettings
from pipeline.models.stack import Stack
from pipeline.models.weights import Embedding, Linear, inner_std


class Transformer(Backbone):
    """Embeddings, positions, blocks (Vaswani et al. 2017; as a language model, Radford et al. 2018).

    Its parts are chosen by the names in the settings, each from the registry of its own file.
    """

    def __init__(self, settings: TransformerSettings, vocabulary: int) -> None:
        super().__init__(settings, vocabulary)
        D, E = settings.width, settings.token_width
        self.scale = embedding_scale(settings)
        self.embeddings = token_embeddings(settings, vocabulary)
        self.ngrams = HashedNgrams(settings) if settings.ngram_buckets else None
        self.positions = POSITIONS[settings.positions](settings)
        self.embedding_norm = norm(settings, E) if settings.embedding_norm else nn.Identity()
        self.dropout = SeededDropout(settings.embedding_dropout, site=0)
        self.embedding_projection = Linear(E, D, bias=settings.bias, std=inner_std(settings)) if E != D else None
        self.stack = Stack(settings, first_site=1)
        self.make_way_out()

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
        """Hidden states `hidden_BTD`, after the final norm.

        Args:
            tokens_BT: int64 token numbers, rows padded on the right; T at most `settings.max_positions`.
            lengths_B: true lengths of the rows, at least 1. Needed without the causal mask alone: with it no token
                can see the padding behind it. States of padding mean nothing.
            causal: each token sees itself and those before it; otherwise all of its row. A decoder does the first
                unless told, an encoder the second.
            prefix_B: this many first tokens of each row are seen by all of it, causal or not (a prefix LM).
            seeds_B: int64 dropout noise, one number for each row; no dropout without it, nor in `eval()`.
            cache: the tokens go on after those that it has seen, and it comes to know them too.
            every_layer: put those of the embeddings and of the blocks below before them, (B, T, sum(state_widths())).
        """
        causal = self.settings.family == "decoder" if causal is None else causal
        if prefix_B is not None and self.settings.attention != "softmax":
            raise ValueError(f"`attention: {self.settings.attention}` cannot see a part of its row both ways")
        T, offset = tokens_BT.size(1), 0 if cache is None else cache.length
        if self.settings.max_positions < offset + T:
            raise ValueError(f"{offset + T} tokens are more than the model's {self.settings.max_positions} positions")
        x_BTD = self.embed(tokens_BT, seeds_B, offset, cache)  # (B, T, D)
        keys_BS = None if lengths_B is None or causal else keys_of(lengths_B, T)
        mask = attention_mask(
            T,
            offset,
            causal=causal,
            keys_BS=keys_BS,
            prefix_B=prefix_B,
            bias_1HTS=self.positions.bias(T, offset),
            explicit=self.settings.positions == "transformer_xl",
            device=tokens_BT.device,
        )
        context = Context(causal and prefix_B is None, seeds_B, self.positions, keys_BS, mask, cache=cache)
        hidden_BTD = self.stack(x_BTD, context, every_layer=every_layer)  # (B, T, D)
        if cache is not None:
            cache.length += T
        return hidden_BTD

    def embed(self, tokens_BT: Tensor, seeds_B: Tensor | None, offset: int = 0, cache: Cache | None = None) -> Tensor:
        """What enters the first block, (B, T, D): the first token stands at position `offset`."""
        x_BTE = self.embeddings(tokens_BT)
        if self.ngrams is not None:
            x_BTE = x_BTE + self.ngrams(tokens_BT, cache)
        x_BTE = self.positions.add(x_BTE * self.scale, offset)
        x_BTE = self.dropout(self.embedding_norm(x_BTE), seeds_B)
        return x_BTE if self.embedding_projection is None else self.embedding_projection(x_BTE)

    def input_embeddings(self) -> Embedding:
        """The embeddings (V, E) of the tokens."""
        return self.embeddings

    def state_widths(self) -> list[int]:
        """How wide the states of the embeddings and of each layer are."""
        return [self.settings.width] * (self.settings.layers + 1)

    def layer_groups(self) -> LayerGroups:
        """Parameters from input to output, each in one group: embeddings, block 1, ..., the last with what follows."""
        entrance: list[nn.Module | None] = [
            self.embeddings,
            self.ngrams,
            self.positions,
            self.embedding_norm,
            self.embedding_projection,
        ]
        groups = [("embeddings", [p for module in entrance if module is not None for p in module.parameters()])]
        groups += [(f"block {n}", list(block.parameters())) for n, block in enumerate(self.stack.blocks, start=1)]
        groups[-1][1].extend([*self.stack.norm.parameters(), *self.way_out_parameters()])
        return groups

    def hidden_matrices(self) -> list[nn.Parameter]:
        """Weights of the linear layers inside the blocks: what Muon may own."""
        return linear_weights(self.stack)

    def reader(self) -> Self:
        """What a classifier reads with: this network, from now on without its way out."""
        self.drop_way_out()
        return self

    def flops_per_token(self, length: int) -> float:
        """Floating-point operations of training on one token, forward and backward, in sequences of `length`.

        6 for each weight that a token is multiplied with, and those of attention.
        """
        inside = self.stack.visits * sum(matrix.numel() for matrix in self.hidden_matrices())
        narrow = [None if self.ngrams is None else self.ngrams.out, self.embedding_projection]
        entrance = sum(matrix.weight.numel() for matrix in narrow if matrix is not None)
        weights = entrance + inside + self.scored_weights()
        return 6.0 * weights + self.settings.layers * attention_flops(self.settings, length)
