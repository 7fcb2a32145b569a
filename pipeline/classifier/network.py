"""A language model's network with a classifier's head on it, which reads documents of any length."""

from collections.abc import Iterator, Sequence

import torch
from torch import Tensor, nn

from pipeline.base.errors import UserError
from pipeline.classifier.heads import Head
from pipeline.classifier.passes import Pass, apart, in_turn
from pipeline.classifier.pooling import ABSENT, join, summarise
from pipeline.classifier.reading import Chunks, Reading
from pipeline.config.classifier import ClassifierConfig
from pipeline.config.suitable import carried, one_way
from pipeline.config.suitable import reading as reads
from pipeline.models.awd_lstm import AWDLSTM
from pipeline.models.build import Network
from pipeline.models.cache import Cache
from pipeline.models.transformer import Transformer
from pipeline.models.weights import initialise

# A chunk's noise is that of its document's seed plus its number times this: the golden ratio in 64 bits, as int64.
CHUNK_SEED = 0x9E3779B97F4A7C15 - 2**64


class ClassifierNetwork(nn.Module):
    """Documents are cut into chunks, each chunk goes through the backbone, what it saw is pooled, the head decides.

    A document's scores depend on that document alone: not on the other documents of a batch, nor on its padding.
    """

    def __init__(
        self,
        backbone: Transformer | AWDLSTM,
        head: Head,
        reading: Reading,
        pooling: tuple[str, ...],
        pool_layers: str = "last",
    ) -> None:
        """What reads and what decides.

        Args:
            backbone: a language model's network without its way out.
            head: of `pooled_features` inputs.
            reading: how documents are cut.
            pooling: some of "last", "max", "mean", in the order in which the head reads them.
            pool_layers: whose states are pooled: the "last" layer's, or those of "all", the embeddings first.
        """
        super().__init__()
        self.backbone = backbone
        self.head = head
        self.reading = reading
        self.pooling = pooling
        self.pool_layers = pool_layers
        self.widths = pooled_widths(backbone, pool_layers)

    @property
    def classes(self) -> int:
        """C, the number of scores of a document."""
        return self.head.output.out_features

    def forward(self, tokens_BT: Tensor, lengths_B: Tensor, seeds_B: Tensor | None = None) -> Tensor:
        """Unnormalised scores of whole documents.

        Args:
            tokens_BT: int64, right-padded, at most `reading.max_tokens` wide (`reading.batch` makes it).
            lengths_B: true tokens of each document, at least 1.
            seeds_B: int64 dropout noise, one per document; none in eval() or without them.

        Returns:
            `logits_BC` in fp32.
        """
        return self.head(self.pooled(tokens_BT, lengths_B, seeds_B), seeds_B).float()

    def pooled(self, tokens_BT: Tensor, lengths_B: Tensor, seeds_B: Tensor | None = None) -> Tensor:
        """What the head reads: fp32 `(B, P)` with P = pools * sum(widths), each pool of each layer normalised;
        arguments as in `forward`.
        """
        if tokens_BT.size(1) > self.reading.max_tokens:
            raise ValueError(f"documents of {tokens_BT.size(1)} tokens; `reading.batch` cuts them to `max_tokens`")
        chunks = self.reading.chunks(lengths_B)
        shape_BND = (len(tokens_BT), chunks.most, sum(self.widths))
        parts = {pool: tokens_BT.new_full(shape_BND, ABSENT[pool], dtype=torch.float32) for pool in self.pooling}
        for rows_K, trains, cache in self._passes(chunks, len(tokens_BT)):
            some = chunks.take(rows_K, tokens_BT.device)
            with torch.set_grad_enabled(trains and torch.is_grad_enabled()):
                hidden_KTD = self._hidden(tokens_BT, some, seeds_B, cache)
                new = {pool: summarise(pool, hidden_KTD, some) for pool in self.pooling}
            for pool, summary_KD in new.items():
                parts[pool][some.document_M, some.number_M] = summary_KD
        lengths_B = lengths_B.to(tokens_BT.device)
        return torch.cat([join(pool, parts[pool], lengths_B, self.widths) for pool in self.pooling], dim=1)  # (B, P)

    def _passes(self, chunks: Chunks, documents: int) -> Iterator[Pass]:
        """The calls of the backbone."""
        trains_M = chunks.trains_M if torch.is_grad_enabled() else torch.ones_like(chunks.trains_M)
        if self.reading.carries:
            return in_turn(chunks, trains_M)
        return apart(chunks, trains_M, self.reading.chunk_tokens, documents * self.reading.gradient_chunks)

    def _hidden(self, tokens_BT: Tensor, chunks: Chunks, seeds_B: Tensor | None, cache: Cache | None) -> Tensor:
        """Hidden states `(K, T, D)` of K chunks, T the longest, D the widths of what is pooled."""
        position_T = torch.arange(int(chunks.length_M.max()), device=tokens_BT.device)
        # Behind the end of a document anything may stand: no true position sees it, and pooling leaves it out.
        column_KT = (chunks.start_M[:, None] + position_T).clamp(max=tokens_BT.size(1) - 1)
        seeds_K = None if seeds_B is None else seeds_B[chunks.document_M] + chunks.number_M * CHUNK_SEED
        return self.backbone(
            tokens_BT[chunks.document_M[:, None], column_KT],
            lengths_B=chunks.length_M,
            causal=self.reading.causal,
            seeds_B=seeds_K,
            cache=cache,
            every_layer=self.pool_layers == "all",
        )

    def layer_groups(self) -> list[tuple[str, list[nn.Parameter]]]:
        """The backbone's groups from input to output, and the head last; every parameter in exactly one."""
        return [*self.backbone.layer_groups(), ("head", list(self.head.parameters()))]

    def hidden_matrices(self) -> list[nn.Parameter]:
        """2-D weights inside the blocks: what Muon may own."""
        return self.backbone.hidden_matrices()

    def begin_step(self, seed: int) -> None:
        """Told before each optimiser step; see `Backbone.begin_step`."""
        self.backbone.begin_step(seed)

    def set_drop_mult(self, factor: float) -> None:
        """Scale the backbone's dropout rates; the head's are the classifier config's own."""
        self.backbone.set_drop_mult(factor)


def classifier_network(network: Network, config: ClassifierConfig, classes: int) -> ClassifierNetwork:
    """Put a new head, initialised from `config.seed`, on a language model's network (which is used, not copied)."""
    backbone = network.reader()
    positions = backbone.settings.max_positions
    if config.chunk_tokens > positions:
        raise UserError(
            f"`chunk_tokens: {config.chunk_tokens}` of the classifier is more than the model's "
            f"`max_positions: {positions}`; lower it"
        )
    causal = backbone.settings.family == "decoder" if config.causal == "auto" else config.causal
    if not causal and (reason := one_way(reads(backbone.settings))):
        raise UserError(
            f"`causal: false` of the classifier does not fit this language model: {reason}; write `causal: auto`"
        )
    carries = isinstance(backbone, AWDLSTM)
    if config.overlap and (reason := carried(reads(backbone.settings))):
        raise UserError(f"`overlap: {config.overlap}` of the classifier does not fit this language model: {reason}")
    reading = Reading(config.chunk_tokens, config.overlap, config.max_tokens, config.gradient_chunks, causal, carries)
    features = pooled_features(backbone, config.pooling, config.pool_layers)
    head = Head(features, classes, width=config.head_width, dropout=config.head_dropout)
    initialise(head, config.seed)
    return ClassifierNetwork(backbone, head, reading, config.pooling, config.pool_layers)


def pooled_features(backbone: Transformer | AWDLSTM, pooling: Sequence[str], pool_layers: str) -> int:
    """P, the inputs of a head on these pools of these layers."""
    return len(pooling) * sum(pooled_widths(backbone, pool_layers))


def pooled_widths(backbone: Transformer | AWDLSTM, pool_layers: str) -> list[int]:
    """How wide the states are that each pool takes in, layer by layer."""
    return backbone.state_widths() if pool_layers == "all" else [backbone.settings.width]
