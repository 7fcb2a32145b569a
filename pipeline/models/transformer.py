"""The Transformer decoder: tokens in, hidden states out, and the matrix that turns these into next-token scores."""

import math

import torch
from torch import Tensor, nn

from pipeline.models.context import Context
from pipeline.models.dropout import SeededDropout, set_drop_mult
from pipeline.models.positions import POSITIONS
from pipeline.models.settings import TransformerSettings
from pipeline.models.stack import STACKS
from pipeline.models.weights import Embedding, Linear


class Transformer(nn.Module):
    """Embeddings, positions, blocks (Vaswani et al. 2017; as a language model, Radford et al. 2018).

    Its parts are chosen by the names in the settings, each from the registry of its own file. The weights are not set
    until `build` has drawn them or a file has filled them.
    """

    def __init__(self, settings: TransformerSettings, vocabulary: int) -> None:
        super().__init__()
        self.settings, self.vocabulary = settings, vocabulary
        # Tokens enter as weight * sqrt(D), with unit RMS at first, while the same rows as output matrix give scores of
        # unit variance (Vaswani et al. 2017, section 3.4).
        self.scale = math.sqrt(settings.width)
        self.embeddings = Embedding(vocabulary, settings.width, std=1 / self.scale)
        self.positions = POSITIONS[settings.positions](settings)
        self.dropout = SeededDropout(settings.embedding_dropout, site=0)
        self.stack = STACKS[settings.placement](settings, 1)
        self.output = None if settings.tied else Embedding(vocabulary, settings.width, std=1 / self.scale)

    def forward(
        self,
        tokens_BT: Tensor,
        *,
        lengths_B: Tensor | None = None,
        causal: bool = True,
        seeds_B: Tensor | None = None,
    ) -> Tensor:
        """Hidden states `hidden_BTD`, after the final norm.

        Args:
            tokens_BT: int64 token numbers, rows padded on the right; T at most `settings.max_positions`.
            lengths_B: true lengths of the rows, at least 1. Needed with `causal=False` alone: with the causal mask no
                token can see the padding behind it. States of padding mean nothing.
            causal: each token sees itself and those before it; otherwise all of its row.
            seeds_B: int64 dropout noise, one number for each row; no dropout without it, nor in `eval()`.
        """
        T = tokens_BT.size(1)
        if self.settings.max_positions < T:
            raise ValueError(f"{T} tokens are more than the model's {self.settings.max_positions} positions")
        mask_B11T = None
        if lengths_B is not None and not causal:
            mask_B11T = (torch.arange(T, device=tokens_BT.device) < lengths_B[:, None])[:, None, None]  # (B, 1, 1, T)
        x_BTD = self.embeddings(tokens_BT) * self.scale  # (B, T, D)
        x_BTD = self.dropout(self.positions.add(x_BTD), seeds_B)  # (B, T, D)
        return self.stack(x_BTD, Context(causal, mask_B11T, seeds_B, self.positions))  # (B, T, D)

    def output_matrix(self) -> Tensor:
        """The matrix (V, D) whose rows score the next token: `hidden_ND @ output_matrix().T`."""
        return self.embeddings.weight if self.output is None else self.output.weight

    def unembed(self, hidden_ND: Tensor) -> Tensor:
        """Scores `logits_NV` of the next token, natural logarithms up to a constant."""
        return nn.functional.linear(hidden_ND, self.output_matrix())

    def layer_groups(self) -> list[tuple[str, list[nn.Parameter]]]:
        """Parameters from input to output, each in one group: embeddings, block 1, ..., the last with what follows."""
        groups = [("embeddings", [*self.embeddings.parameters(), *self.positions.parameters()])]
        groups += [(f"block {n}", list(block.parameters())) for n, block in enumerate(self.stack.blocks, start=1)]
        groups[-1][1].extend(self.stack.norm.parameters())
        if self.output is not None:
            groups[-1][1].extend(self.output.parameters())
        return groups

    def hidden_matrices(self) -> list[nn.Parameter]:
        """Weights of the linear layers inside the blocks: what Muon may own."""
        return [module.weight for module in self.stack.modules() if isinstance(module, Linear)]

    def flops_per_token(self, length: int) -> float:
        """Floating-point operations of training on one token, forward and backward, in sequences of `length`.

        6 for each weight that a token is multiplied with and 12 L T D for attention, which is counted in full as is
        usual, though a causal mask needs half of it (Chowdhery et al. 2022, appendix B).
        """
        weights = sum(matrix.numel() for matrix in [*self.hidden_matrices(), self.output_matrix()])
        return 6.0 * weights + 12.0 * self.settings.layers * self.settings.width * length

    def set_drop_mult(self, factor: float) -> None:
        """Scale every dropout rate of the settings by `factor`; `ValueError` if one would reach 1."""
        set_drop_mult(self, factor)
