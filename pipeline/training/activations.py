"""What a network keeps of a sequence for its backward pass: counted on the network itself, without its memory.

A formula would have to follow every norm, position and activation, and what autocast keeps in which precision; torch's
fake tensors run the very code and hold nothing.
"""

from dataclasses import replace
from functools import lru_cache

import torch
from torch import Tensor
from torch._subclasses.fake_tensor import FakeTensorMode

from pipeline.models.build import Network, new_network
from pipeline.models.settings import LSTMSettings, ModelSettings

LSTM_TOKENS = 64  # what an LSTM keeps grows with the tokens alone


@lru_cache(maxsize=64)
def kept_bytes(settings: ModelSettings, length: int, precision: str) -> int:
    """Bytes that training keeps of one sequence of `length` tokens from its embeddings to its last hidden states.

    Not in it: weights and their casts, the loss, and what an operation needs while it runs. Of an encoder-decoder both
    sides read `length` tokens. `precision` is fp32 or bf16 (autocast: the residual stream and the norms stay fp32).

    All blocks keep alike, so one and two of them tell of any number (Korthikanti et al. 2022, "Reducing Activation
    Recomputation in Large Transformer Models", section 4, adds the same tensors up by hand).
    """
    if isinstance(settings, LSTMSettings):  # torch's kernel keeps a workspace whose size only it knows: it really runs
        tokens = min(LSTM_TOKENS, settings.max_positions)
        return _of_a_row(settings, tokens, precision) * length // tokens
    tokens = min(length, settings.max_positions)
    with FakeTensorMode():
        one, two = (_of_a_row(replace(settings, layers=layers), tokens, precision) for layers in (1, 2))
    return (one + (settings.layers - 1) * (two - one)) * length // tokens


def _of_a_row(settings: ModelSettings, tokens: int, precision: str) -> int:
    """What a third row adds: weights' casts and masks, which all rows share, drop out; one row alone needs less."""
    network = new_network(settings, vocabulary=1).train()
    return _kept(network, 3, tokens, precision) - _kept(network, 2, tokens, precision)


def _kept(network: Network, rows: int, tokens: int, precision: str) -> int:
    """Bytes of the different blocks of memory that autograd holds after a forward pass, parameters left out."""
    own = {parameter.untyped_storage()._cdata for parameter in network.parameters()}
    held: dict[int, int] = {}
    alive: list[Tensor] = []  # so that no block is freed and its number given to another

    def note(tensor: Tensor) -> Tensor:
        storage = tensor.untyped_storage()
        if storage._cdata not in own:
            alive.append(tensor)
            held[storage._cdata] = storage.nbytes()
        return tensor

    tokens_BT, seeds_B = torch.zeros(rows, tokens, dtype=torch.int64), torch.arange(rows)
    source = {"source_BS": tokens_BT} if network.settings.family == "encoder_decoder" else {}
    with (
        torch.enable_grad(),
        torch.autograd.graph.saved_tensors_hooks(note, lambda tensor: tensor),
        torch.autocast("cpu", torch.bfloat16, enabled=precision == "bf16"),
    ):
        network(tokens_BT, seeds_B=seeds_B, **source)
    return sum(held.values())
