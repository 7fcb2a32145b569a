"""What a network that sees both sides puts into a gap: one token of an encoder, a span of an encoder-decoder."""

import math
from collections.abc import Sequence
from typing import NamedTuple

import torch

from pipeline.language_model.beam import beam_search
from pipeline.models.encoder_decoder import EncoderDecoder
from pipeline.models.transformer import Transformer
from pipeline.objectives.spans import FIRST_SENTINEL
from pipeline.text.specials import BOS, MASK, SPECIALS


class Guess(NamedTuple):
    """Tokens for a gap and the probability that they are those of the text."""

    tokens: list[int]
    probability: float


@torch.no_grad()
def fill_mask(
    network: Transformer, before_T: Sequence[int], after_T: Sequence[int], *, top: int = 5, shifted: bool = False
) -> list[Guess]:
    """The `top` most probable tokens between these, most probable first; never special ones.

    Args:
        network: an encoder trained on the masked objective, or on the hybrid one.
        before_T: the tokens that it reads first, <bos> included.
        shifted: a token is told by the state before it, as the hybrid objective teaches, and not by its own.

    Raises:
        ValueError: for another network, and for more tokens than it has positions.
    """
    if network.settings.family != "encoder":
        raise ValueError(f"a masked token is filled in by an encoder, not by a {network.settings.family}")
    tokens_1T = torch.tensor([[*before_T, MASK, *after_T]], device=network.output_matrix().device)
    hidden_1D = network(tokens_1T)[:, len(before_T) - shifted]
    p_V = network.unembed(hidden_1D)[0].cpu().double().softmax(dim=0)
    p_V[: len(SPECIALS)] = 0
    found = p_V.topk(min(top, len(p_V) - len(SPECIALS)))
    return [Guess([token], p) for p, token in zip(found.values.tolist(), found.indices.tolist(), strict=True)]


def fill_span(
    network: EncoderDecoder, before_T: Sequence[int], after_T: Sequence[int], *, tokens: int, beams: int = 4
) -> Guess:
    """The most probable span of at most `tokens` tokens between these, of a network trained on span corruption.

    The encoder reads a sentinel in its place, and the decoder writes from that sentinel to the next.

    Raises:
        ValueError: for more tokens than the network has positions.
    """
    source_1S = torch.tensor([[*before_T, FIRST_SENTINEL, *after_T]])
    start, stop = (BOS, FIRST_SENTINEL), FIRST_SENTINEL + 1
    (best,) = beam_search(network, source_1S, beams=beams, tokens=tokens, length_penalty=0.0, start=start, stop=stop)
    return Guess(best.tokens, math.exp(best.log_probability))
