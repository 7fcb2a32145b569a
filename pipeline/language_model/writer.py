"""A network in the middle of writing: rows of tokens that it has read once, and what may follow each."""

from collections.abc import Sequence

import torch
from torch import Tensor

from pipeline.models.build import Network
from pipeline.models.cache import Cache
from pipeline.models.context import Memory
from pipeline.models.encoder_decoder import EncoderDecoder
from pipeline.text.specials import SPECIALS


class Writer:
    """Reads every token once and keeps what the network remembers of it (its `Cache`).

    Of the special tokens it never writes any but `stop`. Scores come to the CPU as float64 there: what is chosen by
    them is the same on every device but for the rounding of the network itself.
    """

    def __init__(self, network: Network, stop: int, memory: Memory | None = None) -> None:
        """`memory`: what an encoder-decoder has read."""
        self.network, self.memory, self.cache = network, memory, Cache()
        self.device = network.output_matrix().device
        numbers_V = torch.arange(network.vocabulary)
        self.barred_V = (numbers_V < len(SPECIALS)) & (numbers_V != stop)

    def read(self, tokens_BT: Tensor) -> Tensor:
        """Log-probabilities of the token after these, (B, V), which go on after those read before; barred ones -inf."""
        tokens_BT = tokens_BT.to(self.device)
        if isinstance(self.network, EncoderDecoder):
            assert self.memory is not None
            hidden_BTD = self.network.decode(tokens_BT, self.memory, cache=self.cache)
        else:
            hidden_BTD = self.network(tokens_BT, cache=self.cache)
        logits_BV = self.network.unembed(hidden_BTD[:, -1])
        return logits_BV.cpu().double().log_softmax(dim=1).masked_fill(self.barred_V, -torch.inf)

    def select(self, rows_B: Tensor) -> None:
        """Go on with these rows, in this order; one may appear several times."""
        rows_B = rows_B.to(self.device)
        self.cache.select(rows_B)
        if self.memory is not None:
            hidden_BSD, mask_B11S = self.memory
            self.memory = Memory(hidden_BSD[rows_B], None if mask_B11S is None else mask_B11S[rows_B])


def start_answers(
    network: EncoderDecoder, source_BS: Tensor, lengths_B: Tensor | None, start: Sequence[int], stop: int
) -> tuple[Writer, Tensor]:
    """A writer that has read the sources and the first tokens of each answer, and what follows them (B, V)."""
    device = network.output_matrix().device
    lengths_B = None if lengths_B is None else lengths_B.to(device)
    writer = Writer(network, stop, network.encode(source_BS.to(device), lengths_B=lengths_B))
    return writer, writer.read(torch.tensor([start]).expand(len(source_BS), -1))


def require_room(network: Network, start: Sequence[int], tokens: int) -> None:
    """`ValueError` where the network has no positions for `tokens` more tokens, or nothing to start from."""
    if not start:
        raise ValueError("writing starts from one token at least, such as <bos>")
    most = network.settings.max_positions
    room = most + 1 - len(start)  # the last token is written and not read
    if room < 1:
        raise ValueError(f"the {len(start)} tokens given are more than the model's {most} positions; shorten them")
    if tokens > room:
        given = f"{tokens} tokens after {len(start)} given"
        raise ValueError(f"{given} are more than the model's {most} positions; ask for {room} at most")
