"""Text from a language model: the continuation of a prompt, or an encoder-decoder's answer to a source.

Algorithms 14 and 15 of Phuong & Hutter 2022 (arXiv 2207.09238), with a cache so that each token is read once.
"""

from collections.abc import Sequence

import torch
from torch import Tensor

from pipeline.language_model.sampling import GREEDY, Sampling
from pipeline.language_model.writer import Writer, require_room, start_answers
from pipeline.models.build import Network
from pipeline.models.encoder_decoder import EncoderDecoder
from pipeline.text.specials import BOS, EOS

# By family: why a prompt cannot be continued.
CANNOT_CONTINUE = {
    "encoder": "an encoder learns to see both sides of a token, so it can fill a gap but not continue a text",
    "encoder_decoder": "an encoder_decoder answers what it has read and does not continue it",
}


@torch.no_grad()
def generate(
    network: Network,
    prompt_T: Sequence[int],
    *,
    tokens: int,
    sampling: Sampling = GREEDY,
    samples: int = 1,
    stop: int = EOS,
) -> list[list[int]]:
    """Continue a prompt: `samples` lists of at most `tokens` tokens, without the prompt and `stop`.

    A sample does not depend on how many others there are, beyond rounding. The network's `training` makes no
    difference, as there is no dropout without seeds.

    Args:
        network: a decoder or an AWD-LSTM, which reads in its own direction.
        prompt_T: token numbers, <bos> first; one at least.
        stop: the token that ends a sample. No other special token is ever written.

    Raises:
        ValueError: for a network that cannot continue a text, and for more tokens than it has positions.
    """
    if reason := CANNOT_CONTINUE.get(network.settings.family):
        raise ValueError(reason)
    require_room(network, prompt_T, tokens)
    writer = Writer(network, stop)
    log_p_1V = writer.read(torch.tensor([prompt_T]))
    writer.select(torch.zeros(samples, dtype=torch.int64))
    return _write(writer, log_p_1V.expand(samples, -1), tokens, sampling, stop)


@torch.no_grad()
def answer(
    network: EncoderDecoder,
    source_BS: Tensor,
    *,
    lengths_B: Tensor | None = None,
    tokens: int,
    sampling: Sampling = GREEDY,
    start: Sequence[int] = (BOS,),
    stop: int = EOS,
) -> list[list[int]]:
    """An answer to each source: lists of at most `tokens` tokens, without those of `start` and `stop`.

    Args:
        source_BS: what the encoder reads, padded on the right; the row is the sample's number.
        lengths_B: true lengths of the sources; None where none is padded.
        start: the first tokens of every answer, which the decoder is given.

    Raises:
        ValueError: for more tokens than the network has positions.
    """
    require_room(network, start, tokens)
    writer, log_p_BV = start_answers(network, source_BS, lengths_B, start, stop)
    return _write(writer, log_p_BV, tokens, sampling, stop)


def _write(writer: Writer, log_p_BV: Tensor, tokens: int, sampling: Sampling, stop: int) -> list[list[int]]:
    """Go on from the first scores; rows that have stopped leave the batch."""
    written: list[list[int]] = [[] for _ in log_p_BV]
    samples_B = torch.arange(len(written))  # which sample stands in each row
    for position in range(tokens):
        token_B = sampling.choose(log_p_BV, samples_B, position)
        going_B = token_B != stop
        samples_B, token_B = samples_B[going_B], token_B[going_B]
        for sample, token in zip(samples_B.tolist(), token_B.tolist(), strict=True):
            written[sample].append(token)
        if not len(samples_B) or position == tokens - 1:
            break
        if not going_B.all():
            writer.select(going_B.nonzero()[:, 0])
        log_p_BV = writer.read(token_B[:, None])
    return written
