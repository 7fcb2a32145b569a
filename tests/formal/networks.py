"""Networks of the library in the paper's conventions, with weights far from special values."""

from typing import Any

import numpy as np
import torch
from torch import nn

from pipeline.models.build import build
from pipeline.models.settings import TransformerSettings

# The three architectures of the paper as choices of ours: Algorithms 10, 9 and 8.
GPT = {"family": "decoder", "placement": "pre", "activation": "gelu"}
BERT = {"family": "encoder", "placement": "post", "activation": "gelu", "output_transform": True}
ORIGINAL = {"family": "encoder_decoder", "placement": "post", "activation": "relu"}
# The paper's norm divides by zero where all channels are equal; ours needs a number that is not quite 0.
NO_EPSILON = 1e-12


def shape(**changes: Any) -> TransformerSettings:
    """The paper's conventions at a small size; keywords change single fields."""
    paper = {"scale_embeddings": False, "tied": False, "norm_epsilon": NO_EPSILON, "positions": "learned"}
    size = {"layers": 2, "width": 32, "heads": 4, "feedforward": 48, "max_positions": 12}
    return TransformerSettings(**{**size, **paper, **changes})


def random_network(settings: TransformerSettings, vocabulary: int, seed: int = 1) -> nn.Module:
    """A network in which biases are not 0 and scales of norms not 1."""
    network = build(settings, vocabulary, seed)
    randomise(network, seed)
    if settings.family == "encoder_decoder":  # the paper has one W_p for both halves
        network.decoder_positions.load_state_dict(network.encoder.positions.state_dict())
    return network.eval()


@torch.no_grad()
def randomise(module: nn.Module, seed: int) -> None:
    """Draw every parameter: so that tokens, positions and all layers matter, and distributions are sharp."""
    generator = np.random.Generator(np.random.PCG64(seed))
    for name, parameter in module.named_parameters():
        noise = torch.from_numpy(generator.standard_normal(tuple(parameter.shape), dtype=np.float32))
        if name.endswith("norm.weight"):
            noise = 1 + 0.2 * noise
        elif name.endswith(("embeddings.weight", "table.weight")):
            noise = 0.8 * noise
        elif noise.ndim == 2:
            noise = noise / np.sqrt(noise.shape[1])
        else:
            noise = 0.2 * noise
        parameter.copy_(noise)
