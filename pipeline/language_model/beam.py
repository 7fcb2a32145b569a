"""Beam search: the most probable answer of an encoder-decoder that a search through several at once can find."""

from collections.abc import Sequence
from typing import NamedTuple

import torch
from torch import Tensor

from pipeline.language_model.writer import require_room, start_answers
from pipeline.models.encoder_decoder import EncoderDecoder
from pipeline.text.specials import BOS, EOS


class Hypothesis(NamedTuple):
    """An answer and how good the model finds it."""

    # Without the first tokens, which were given, and the one that ends it.
    tokens: list[int]
    # log p(answer | source), with the end where it has one.
    log_probability: float
    # The same over the length penalty: what hypotheses are compared by.
    score: float


@torch.no_grad()
def beam_search(
    network: EncoderDecoder,
    source_BS: Tensor,
    *,
    lengths_B: Tensor | None = None,
    beams: int = 4,
    tokens: int,
    length_penalty: float = 0.6,
    start: Sequence[int] = (BOS,),
    stop: int = EOS,
) -> list[Hypothesis]:
    """The best answer found to each source (Vaswani et al. 2017, section 6.1, whose values are the defaults).

    Of all continuations of a source's hypotheses by one token the `beams` most probable stay. One that ends in `stop`,
    or has `tokens` tokens, is complete; complete ones are compared by log p / lp(length), where
    lp(n) = ((5 + n) / 6)^length_penalty counts `stop` as well (Wu et al. 2016, section 7). The search for a source ends
    when none that is not yet complete could still win. One beam is the greedy answer.

    Args:
        source_BS: what the encoder reads, padded on the right.
        lengths_B: true lengths of the sources; None where none is padded.
        start: the first tokens of every answer, which the decoder is given.

    Raises:
        ValueError: for more tokens than the network has positions, no beam or a negative penalty.
    """
    if beams < 1 or tokens < 1 or length_penalty < 0:
        raise ValueError("beam search takes at least 1 beam and 1 token, and a length penalty of 0 or more")
    require_room(network, start, tokens)
    writer, log_p_BV = start_answers(network, source_BS, lengths_B, start, stop)
    sources, vocabulary = log_p_BV.shape
    best = [Hypothesis([], -torch.inf, -torch.inf) for _ in range(sources)]
    open_N = torch.arange(sources)  # the sources whose search goes on
    # K slots for each source, at first one that holds the empty answer; a slot of log-probability -inf is empty.
    writer.select(open_N.repeat_interleave(beams))
    log_p_NKV = log_p_BV[:, None].expand(-1, beams, -1)
    total_NK = torch.full((sources, beams), -torch.inf, dtype=torch.float64).index_fill(1, torch.tensor([0]), 0.0)
    written_NKT = torch.zeros(sources, beams, 0, dtype=torch.int64)

    for length in range(1, tokens + 1):
        total_NK, place_NK = (total_NK[:, :, None] + log_p_NKV).flatten(1).topk(beams, dim=1)
        origin_NK, token_NK = place_NK // vocabulary, place_NK % vocabulary
        written_NKT = written_NKT.take_along_dim(origin_NK[:, :, None], dim=1)
        written_NKT = torch.cat([written_NKT, token_NK[:, :, None]], dim=2)
        complete_NK = (token_NK == stop) | (length == tokens)
        _keep_better(best, open_N, total_NK.masked_fill(~complete_NK, -torch.inf), written_NKT, length_penalty, stop)
        total_NK = total_NK.masked_fill(complete_NK, -torch.inf)

        # Log-probabilities only fall, and no penalty is greater than that of the longest answer.
        could_reach_N = total_NK.amax(dim=1) / penalty(tokens, length_penalty)
        going_N = could_reach_N > torch.tensor([best[source].score for source in open_N.tolist()], dtype=torch.float64)
        if not going_N.any():
            break
        rows_NK = torch.arange(len(open_N))[:, None] * beams + origin_NK
        writer.select(rows_NK[going_N].flatten())
        open_N, total_NK, written_NKT = open_N[going_N], total_NK[going_N], written_NKT[going_N]
        log_p_NKV = writer.read(token_NK[going_N].view(-1, 1)).view(-1, beams, vocabulary)
    return best


def penalty(length: int, exponent: float) -> float:
    """lp of Wu et al. 2016, equation 14: 1 for one token, growing with the length; 1 throughout for exponent 0."""
    return ((5 + length) / 6) ** exponent


def _keep_better(
    best: list[Hypothesis], open_N: Tensor, total_NK: Tensor, written_NKT: Tensor, exponent: float, stop: int
) -> None:
    """Put each source's most probable complete hypothesis into `best` if it beats the one there."""
    total_N, slot_N = total_NK.max(dim=1)
    score_N = total_N / penalty(written_NKT.size(2), exponent)  # all have the same length by now
    for row, source in enumerate(open_N.tolist()):
        if score_N[row] > best[source].score:
            tokens = written_NKT[row, slot_N[row]].tolist()
            tokens = tokens[:-1] if tokens[-1] == stop else tokens
            best[source] = Hypothesis(tokens, total_N[row].item(), score_N[row].item())
