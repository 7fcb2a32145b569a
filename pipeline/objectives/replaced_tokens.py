"""Replaced-token detection: tell which tokens of a text a small masked language model has put there (ELECTRA).

Clark et al. 2020, section 2 and appendix A.
"""

from dataclasses import replace
from functools import partial
from math import gcd
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from pipeline.batches.seeds import hash_numbers
from pipeline.models.backbone import LayerGroups
from pipeline.models.dropout import set_drop_mult
from pipeline.models.settings import TransformerSettings
from pipeline.models.transformer import Transformer
from pipeline.models.weights import Linear, initialise, inner_std
from pipeline.objectives.cross_entropy import CHUNK, sum_cross_entropy
from pipeline.objectives.masked import Masking
from pipeline.objectives.noise import Purpose, bits, fractions
from pipeline.text.specials import MASK, PAD

DETECTION_WEIGHT = 50.0  # of the mean loss over all tokens, beside the generator's over the masked ones (section 2)


class ReplacedTokenDetection(nn.Module):
    """Trains a `discriminator`, the network that is kept, beside a `generator` that makes its task.

    The generator fills in masked tokens; the discriminator reads the text with tokens drawn from it and says of each
    whether it was replaced. A token that was drawn as it had been counts as not replaced. Both share their embeddings,
    of tokens and of learned positions (section 3.2). What the discriminator has to score a vocabulary is not trained.
    The ways out are those of the paper's equations (section 2), a product with the embeddings and one with a vector;
    the authors' code has a hidden layer before each.

    Draws compare numbers that a network computed, so another micro batch, which rounds in another way, can change one
    now and then.
    """

    per_byte = False

    def __init__(self, discriminator: Transformer, masking: Masking, seed: int, generator_divisor: int = 4) -> None:
        """`discriminator`, with its weights, of family encoder; the rest is drawn from `seed`."""
        super().__init__()
        settings = generator_settings(discriminator.settings, generator_divisor)
        self.masking = masking
        self.discriminator = discriminator
        self.generator = Transformer(settings, discriminator.vocabulary)
        D = discriminator.settings.width
        self.head = Linear(D, 1, bias=True, std=inner_std(discriminator.settings))
        # Other numbers than those of a discriminator drawn from the same seed.
        initialise(nn.ModuleList([self.generator, self.head]), hash_numbers(seed, 1))
        self.generator.embeddings = discriminator.embeddings
        if settings.positions == "learned":
            self.generator.positions = discriminator.positions
        for parameter in discriminator.way_out_parameters():
            parameter.requires_grad_(False)
        # What is shared is part of the discriminator's state alone: a file may hold a tensor once.
        theirs = set(map(id, discriminator.parameters()))
        shared = [name for name, parameter in self.generator.named_parameters() if id(parameter) in theirs]
        self.generator.register_state_dict_post_hook(partial(_leave_out, shared))
        self.generator.register_load_state_dict_pre_hook(partial(_keep, shared))

    @property
    def settings(self) -> TransformerSettings:
        """Of the network that is kept."""
        return self.discriminator.settings

    @property
    def vocabulary(self) -> int:
        """Entries of both networks' embeddings."""
        return self.discriminator.vocabulary

    def companion(self) -> nn.Module:
        """What trains beside the network that is kept: the generator, but for what both share, and the head."""
        return nn.ModuleDict({"generator": self.generator, "head": self.head})

    def targets(self, length: int) -> float:
        """The tokens that are masked: what the sum of losses is divided by, per window."""
        return self.masking.count(length)

    def loss_sum(self, windows_BT1: Tensor, seeds_B: Tensor) -> Tensor:
        """Divided by the masked tokens: the generator's mean loss, and 50 times the mean over all tokens of the other.

        windows_BT1: T + 1 tokens, of which the first T are read.
        seeds_B: decide the masked places, the draws and the dropout of each row.
        """
        return self.measured_sum(windows_BT1, seeds_B)[0]

    def measured_sum(self, windows_BT1: Tensor, seeds_B: Tensor) -> tuple[Tensor, Tensor]:
        """The same loss, and the number of masked tokens that it is divided by; without dropout in `eval()`."""
        generator_sum, detection_sum, masked = self.losses(windows_BT1, seeds_B)
        T = windows_BT1.size(1) - 1
        return generator_sum + DETECTION_WEIGHT * self.targets(T) / T * detection_sum, masked

    def losses(self, windows_BT1: Tensor, seeds_B: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """(generator's sum over masked tokens, discriminator's over all tokens, number of masked tokens), in nats."""
        tokens_BT = windows_BT1[:, :-1]
        places_BT = self.masking.places(tokens_BT, seeds_B)
        hidden_ND = self._fill_in(tokens_BT, places_BT, seeds_B)
        generator_sum = sum_cross_entropy(
            self.generator.readout(hidden_ND),
            self.generator.output_matrix(),
            tokens_BT[places_BT],
            bias_V=self.generator.output_bias,
        )
        replaced_BT = self._replace(tokens_BT, places_BT, hidden_ND, seeds_B)
        scores_BT = self.head(self.discriminator(replaced_BT, seeds_B=seeds_B))[..., 0].float()
        detection_sum = F.binary_cross_entropy_with_logits(
            scores_BT, (replaced_BT != tokens_BT).float(), weight=(tokens_BT != PAD).float(), reduction="sum"
        )
        return generator_sum, detection_sum, places_BT.sum()

    def _fill_in(self, tokens_BT: Tensor, places_BT: Tensor, seeds_B: Tensor) -> Tensor:
        """The generator's hidden states at the masked places: (N, D) for N of them."""
        masked_BT = tokens_BT.masked_fill(places_BT, MASK)
        # Noise of its own: its dropouts have the same sites as the discriminator's.
        own_B = bits(seeds_B, Purpose.GENERATOR, 1)[:, 0].long()
        return self.generator(masked_BT, seeds_B=own_B)[places_BT]

    def _replace(self, tokens_BT: Tensor, places_BT: Tensor, hidden_ND: Tensor, seeds_B: Tensor) -> Tensor:
        """The text with tokens drawn from the generator at the masked places; no gradient goes through the draw."""
        seeds_N = bits(seeds_B, Purpose.SAMPLE, tokens_BT.size(1))[places_BT].long()
        replaced_BT = tokens_BT.clone()
        replaced_BT[places_BT] = sample(self.generator, hidden_ND, seeds_N)
        return replaced_BT

    def layer_groups(self) -> LayerGroups:
        """The discriminator's, from input to output, and the generator as a group behind the shared embeddings."""
        untrained = {id(parameter) for parameter in self.discriminator.way_out_parameters()}
        embeddings, *blocks = [
            (name, [parameter for parameter in group if id(parameter) not in untrained])
            for name, group in self.discriminator.layer_groups()
        ]
        theirs = set(map(id, self.discriminator.parameters()))
        generator = [parameter for parameter in self.generator.parameters() if id(parameter) not in theirs]
        blocks[-1][1].extend(self.head.parameters())
        return [embeddings, ("generator", generator), *blocks]

    def hidden_matrices(self) -> list[nn.Parameter]:
        """Weights of the linear layers inside the blocks of both: what Muon may own."""
        return [*self.generator.hidden_matrices(), *self.discriminator.hidden_matrices()]

    def flops_per_token(self, length: int) -> float:
        """Training operations of both on one token; only the generator scores the vocabulary, for masked tokens."""
        both = self.generator.flops_per_token(length) + self.discriminator.flops_per_token(length)
        unasked = self.generator.scored_weights() * (1 - self.targets(length) / length)
        return both - 6.0 * (unasked + self.discriminator.scored_weights())

    def set_drop_mult(self, factor: float) -> None:
        """Scale every dropout rate of both by `factor`; `ValueError` if one would reach 1."""
        set_drop_mult(self, factor)

    def begin_step(self, seed: int) -> None:
        """Told before each optimiser step; see the networks' own."""
        self.generator.begin_step(seed)
        self.discriminator.begin_step(seed)


def generator_settings(settings: TransformerSettings, divisor: int) -> TransformerSettings:
    """The discriminator's settings with width, heads and feed-forward divided by `divisor`; as many layers.

    ELECTRA small and large have a divisor of 4, base of 3 (table 6). Rounded to widths that such heads can have.
    """
    heads = max(1, settings.heads // divisor)
    step = 2 * heads  # rotary and sinusoidal positions want pairs of channels
    return replace(
        settings,
        width=max(1, round(settings.width / divisor / step)) * step,
        heads=heads,
        kv_heads=None if settings.kv_heads is None else gcd(heads, settings.kv_heads),
        feedforward=max(1, settings.feedforward // divisor),
        embedding_width=settings.token_width,
        tied=True,
    )


@torch.no_grad()
def sample(network: Transformer, hidden_ND: Tensor, seeds_N: Tensor) -> Tensor:
    """Draw a token from the network's distribution at each hidden state: int64 (N), a function of its seed.

    The Gumbel-max trick: the largest of score + Gumbel noise is a draw from the softmax of the scores (Maddison et al.
    2014, section 2). Few rows of scores exist at a time.
    """
    drawn = []
    for rows_CD, seeds_C in zip(hidden_ND.split(CHUNK), seeds_N.split(CHUNK), strict=True):
        gumbel_CV = -fractions(seeds_C, Purpose.SAMPLE, network.vocabulary).log_().neg_().log_()
        drawn.append((network.unembed(rows_CD).float() + gumbel_CV).argmax(dim=1))
    return torch.cat(drawn)


def _leave_out(shared: list[str], generator: nn.Module, state: dict[str, Any], prefix: str, metadata: Any) -> None:
    for name in shared:
        del state[prefix + name]


def _keep(shared: list[str], generator: nn.Module, state: dict[str, Any], prefix: str, *others: Any) -> None:
    state.update({prefix + name: generator.get_parameter(name) for name in shared})
