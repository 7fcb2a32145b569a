"""The original Transformer: an encoder reads the source, a decoder writes the target and attends to what was read."""

from dataclasses import replace

from torch import Tensor, nn

from pipeline.models.backbone import Backbone, LayerGroups, attention_flops, linear_weights
from pipeline.models.cache import Cache
from pipeline.models.context import Context, Memory
from pipeline.models.dropout import SeededDropout
from pipeline.models.masks import attention_mask, keys_of
from pipeline.models.norms import norm
from pipeline.models.positions import POSITIONS
from pipeline.models.settings import TransformerSettings
from pipeline.models.stack import Stack
from pipeline.models.transformer import Transformer
from pipeline.models.weights import Embedding


class EncoderDecoder(Backbone):
    """`layers` blocks of each (Vaswani et al. 2017, section 3.1), on the same embeddings.

    `encoder` is a whole `Transformer` of family encoder: for classifying it is taken out and the decoder stays behind.
    """

    def __init__(self, settings: TransformerSettings, vocabulary: int) -> None:
        super().__init__(settings, vocabulary)
        self.encoder = Transformer(encoder_settings(settings), vocabulary)
        writing = replace(settings, family="decoder")
        after_encoder = 1 + 3 * settings.layers  # dropouts are numbered over the whole network
        self.decoder_positions = POSITIONS[settings.positions](writing)
        self.decoder_embedding_norm = norm(settings) if settings.embedding_norm else nn.Identity()
        self.decoder_dropout = SeededDropout(settings.embedding_dropout, site=after_encoder)
        self.decoder_stack = Stack(writing, first_site=after_encoder + 1, cross=True)
        self.make_way_out()

    def forward(
        self,
        inputs_BT: Tensor,
        *,
        source_BS: Tensor,
        lengths_B: Tensor | None = None,
        seeds_B: Tensor | None = None,
    ) -> Tensor:
        """Hidden states `hidden_BTD` of the decoder, from which the token after each input is predicted.

        Args:
            inputs_BT: the target shifted right: a first token, then all but the last of the target.
            source_BS: what the encoder reads, padded on the right.
            lengths_B: true lengths of the sources; None where none is padded.
            seeds_B: int64 dropout noise, one number for each row; no dropout without it, nor in `eval()`.
        """
        return self.decode(inputs_BT, self.encode(source_BS, lengths_B=lengths_B, seeds_B=seeds_B), seeds_B=seeds_B)

    def encode(self, source_BS: Tensor, *, lengths_B: Tensor | None = None, seeds_B: Tensor | None = None) -> Memory:
        """What the decoder attends to."""
        hidden_BSD = self.encoder(source_BS, lengths_B=lengths_B, seeds_B=seeds_B)
        mask_B11S = None if lengths_B is None else keys_of(lengths_B, source_BS.size(1))[:, None, None]
        return Memory(hidden_BSD, mask_B11S)

    def decode(
        self, inputs_BT: Tensor, memory: Memory, *, seeds_B: Tensor | None = None, cache: Cache | None = None
    ) -> Tensor:
        """Hidden states (B, T, D) of target tokens; with a cache, of those that go on after the ones it has seen."""
        T, offset = inputs_BT.size(1), 0 if cache is None else cache.length
        if self.settings.max_positions < offset + T:
            raise ValueError(f"{offset + T} tokens are more than the model's {self.settings.max_positions} positions")
        x_BTD = self.decoder_positions.add(self.encoder.embeddings(inputs_BT) * self.encoder.scale, offset)
        x_BTD = self.decoder_dropout(self.decoder_embedding_norm(x_BTD), seeds_B)
        mask = attention_mask(
            T,
            offset,
            causal=True,
            keys_BS=None,
            prefix_B=None,
            bias_1HTS=self.decoder_positions.bias(T, offset),
            explicit=False,
            device=inputs_BT.device,
        )
        context = Context(True, seeds_B, self.decoder_positions, mask=mask, memory=memory, cache=cache)
        hidden_BTD = self.decoder_stack(x_BTD, context)  # (B, T, D)
        if cache is not None:
            cache.length += T
        return hidden_BTD

    def input_embeddings(self) -> Embedding:
        """The embeddings (V, E) that encoder and decoder share."""
        return self.encoder.embeddings

    def layer_groups(self) -> LayerGroups:
        """Parameters from input to output, each in one group: embeddings, the encoder's blocks, the decoder's."""
        groups = self.encoder.layer_groups()
        entrance = (self.decoder_positions, self.decoder_embedding_norm)
        groups[0][1].extend(p for module in entrance for p in module.parameters())
        groups = [(f"encoder {name}" if number else name, members) for number, (name, members) in enumerate(groups)]
        blocks = enumerate(self.decoder_stack.blocks, start=1)
        groups += [(f"decoder block {n}", list(block.parameters())) for n, block in blocks]
        groups[-1][1].extend([*self.decoder_stack.norm.parameters(), *self.way_out_parameters()])
        return groups

    def hidden_matrices(self) -> list[nn.Parameter]:
        """Weights of the linear layers inside the blocks: what Muon may own."""
        return [*self.encoder.hidden_matrices(), *linear_weights(self.decoder_stack)]

    def reader(self) -> Transformer:
        """What a classifier reads with: the encoder."""
        return self.encoder.reader()

    def flops_per_token(self, length: int) -> float:
        """Operations of training on one source token and one target token, both sequences of `length`."""
        weights = sum(matrix.numel() for matrix in self.hidden_matrices()) + self.scored_weights()
        crossing = 12.0 * self.settings.heads * self.settings.key_width * length
        return 6.0 * weights + self.settings.layers * (2 * attention_flops(self.settings, length) + crossing)


def encoder_settings(settings: TransformerSettings) -> TransformerSettings:
    """The settings of the encoder by itself: it has no way out of its own but the embeddings."""
    return replace(settings, family="encoder", tied=True, output_transform=False, output_bias=False)
