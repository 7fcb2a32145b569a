"""What a network is made of: the fields of `configs/model/*.yaml`, declared by the model itself (no torch needed)."""

from dataclasses import dataclass
from typing import Literal


@dataclass(frozen=True)
class TransformerSettings:
    """Shape and parts of a Transformer; the vocabulary comes from the tokenizer."""

    layers: int
    # D, the width of the residual stream.
    width: int
    heads: int
    # F, the inner width of the feed-forward layers.
    feedforward: int
    # Longest input in tokens.
    max_positions: int
    family: Literal["decoder"] = "decoder"
    norm: Literal["layernorm", "rmsnorm"] = "layernorm"
    # pre: normalise the input of each sub-layer (Xiong et al. 2020).
    placement: Literal["pre"] = "pre"
    positions: Literal["rotary", "learned", "sinusoidal", "none"] = "rotary"
    # softmax: each token weighs all that it may see (Vaswani et al. 2017).
    attention: Literal["softmax"] = "softmax"
    # Between the two matrices of the feed-forward layers; swiglu has three (Shazeer 2020).
    activation: Literal["relu", "gelu", "squared_relu", "swiglu"] = "gelu"
    # Put a norm on the queries and keys of each head (Henry et al. 2020).
    qk_norm: bool = False
    # Additive biases in the linear layers and LayerNorms.
    bias: bool = True
    # Output embeddings are the input embeddings.
    tied: bool = True
    # Zeros in the last matrix of each sub-layer, so that a new block is the identity.
    zero_init: bool = False
    # Dropout after the embeddings, and after each sub-layer.
    embedding_dropout: float = 0.0
    dropout: float = 0.0

    def __post_init__(self) -> None:
        for name in ("layers", "width", "heads", "feedforward", "max_positions"):
            if getattr(self, name) < 1:
                raise ValueError(f"`{name}: {getattr(self, name)}` must be at least 1")
        for name in ("embedding_dropout", "dropout"):
            if not 0 <= getattr(self, name) < 1:
                raise ValueError(f"`{name}: {getattr(self, name)}` must be at least 0 and below 1")
        if self.width % self.heads:
            raise ValueError(f"`width: {self.width}` must be a multiple of `heads: {self.heads}`")
        if self.positions == "rotary" and (self.width // self.heads) % 2:
            raise ValueError(f"rotary positions need an even head width, not {self.width // self.heads}")
