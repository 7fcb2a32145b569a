"""What a network is made of: the fields of `configs/model/*.yaml`, declared by the models themselves (no torch needed).

`backbone` says which of the two kinds a file describes.
"""

from dataclasses import dataclass
from typing import Any, Literal

# Positions that change the scores between queries and keys, which only softmax attention computes one by one.
SCORED_POSITIONS = ("alibi", "t5", "transformer_xl")


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
    backbone: Literal["transformer"] = "transformer"
    # decoder: each token sees itself and those before it; encoder: all of them; encoder_decoder: `layers` of both.
    family: Literal["decoder", "encoder", "encoder_decoder"] = "decoder"
    norm: Literal["layernorm", "rmsnorm"] = "layernorm"
    norm_epsilon: float = 1e-5
    # pre: normalise the input of each sub-layer (Xiong et al. 2020); post: the sum after it (Vaswani et al. 2017);
    # resi_dual: both, on two streams (Xie et al. 2023).
    placement: Literal["pre", "post", "resi_dual"] = "pre"
    positions: Literal["sinusoidal", "learned", "rotary", "alibi", "t5", "transformer_xl", "none"] = "rotary"
    # The longest wavelength of rotary positions is 2 pi times this, in tokens.
    rotary_base: float = 10_000.0
    # softmax: each token weighs all that it may see (Vaswani et al. 2017); linear (Katharopoulos et al. 2020) and
    # performer (Choromanski et al. 2021): sums of features of keys; fast_weight: the delta rule (Schlag et al. 2021).
    # Rotary positions turn queries and keys; of linear and fast_weight their features (Su et al. 2021, section 3.3).
    attention: Literal["softmax", "linear", "performer", "fast_weight"] = "softmax"
    # Random features of each head, for performer.
    features: int = 128
    # Heads of keys and values, each shared by heads / kv_heads heads of queries; as many as `heads` unless told.
    kv_heads: int | None = None
    # K, the width of a head; width / heads unless told.
    head_width: int | None = None
    # Between the two matrices of the feed-forward layers; the *glu have three (Shazeer 2020).
    activation: Literal["relu", "gelu", "gelu_tanh", "squared_relu", "swiglu", "geglu", "geglu_tanh"] = "gelu"
    # Put a norm on the queries and keys of each head, cross-attention's too (Henry et al. 2020).
    qk_norm: bool = False
    # Additive biases in the linear layers and LayerNorms.
    bias: bool = True
    # Output embeddings are the input embeddings.
    tied: bool = True
    # Multiply embeddings by sqrt(width) where tokens enter (Vaswani et al. 2017, section 3.4).
    scale_embeddings: bool = True
    # Embeddings narrower than the stream, with a matrix between them (Lan et al. 2020); as wide unless told.
    embedding_width: int | None = None
    # Rows of a table of hashed n-grams, whose embeddings are added to those of the tokens that they end with; 0: none.
    ngram_buckets: int = 0
    # The longest of them, and the width of the table, which a matrix brings to that of the embeddings.
    ngrams: int = 2
    ngram_width: int = 64
    # A norm on the embedded tokens, before the first block.
    embedding_norm: bool = False
    # One block, used `layers` times (Lan et al. 2020).
    share_layers: bool = False
    # Linear layer, activation and norm between the last block and the output embeddings (Devlin et al. 2019's code).
    output_transform: bool = False
    # A bias for each entry of the vocabulary in the output scores.
    output_bias: bool = False
    # Zeros in the last matrix of each sub-layer, so that a new block is the identity.
    zero_init: bool = False
    # Dropout after the embeddings, and after each sub-layer.
    embedding_dropout: float = 0.0
    dropout: float = 0.0

    @property
    def key_width(self) -> int:
        """K, the width of a head."""
        return self.head_width or self.width // self.heads

    @property
    def key_heads(self) -> int:
        """Heads of keys and values."""
        return self.kv_heads or self.heads

    @property
    def token_width(self) -> int:
        """E, the width of the embeddings."""
        return self.embedding_width or self.width

    def __post_init__(self) -> None:
        counts = ("layers", "width", "heads", "feedforward", "max_positions", "features")
        _require_counts(self, *counts, "ngram_width", "kv_heads", "head_width", "embedding_width")
        _require_rates(self, "embedding_dropout", "dropout")
        for name, least in (("ngram_buckets", 0), ("ngrams", 2)):
            if getattr(self, name) < least:
                raise ValueError(f"`{name}: {getattr(self, name)}` must be at least {least}")
        for name in ("norm_epsilon", "rotary_base"):
            if getattr(self, name) <= 0:
                raise ValueError(f"`{name}: {getattr(self, name)}` must be above 0")
        if self.width % self.heads and self.head_width is None:
            raise ValueError(f"`width: {self.width}` must be a multiple of `heads: {self.heads}`")
        if self.heads % self.key_heads:
            raise ValueError(f"`heads: {self.heads}` must be a multiple of `kv_heads: {self.kv_heads}`")
        if self.positions == "rotary" and self.key_width % 2:
            raise ValueError(f"rotary positions need an even head width, not {self.key_width}")
        self._refuse_impossible_pairs()

    def _refuse_impossible_pairs(self) -> None:
        if self.attention != "softmax" and self.positions in SCORED_POSITIONS:
            raise ValueError(
                f"`positions: {self.positions}` changes single scores, which `attention: {self.attention}` never "
                "computes; take rotary, sinusoidal, learned or none"
            )
        if self.attention == "fast_weight" and self.family != "decoder":
            raise ValueError(
                f"`attention: fast_weight` writes token after token, so it cannot see both sides as `family: "
                f"{self.family}` does; take `family: decoder`"
            )
        if self.positions == "transformer_xl" and self.family == "encoder_decoder":
            raise ValueError("`positions: transformer_xl` is for one stack of tokens; take t5 for an encoder_decoder")
        if self.embedding_width is not None and self.family == "encoder_decoder":
            raise ValueError("`embedding_width` is for one stack of blocks, not for `family: encoder_decoder`")
        if self.ngram_buckets and self.family == "encoder_decoder":
            raise ValueError("`ngram_buckets` is for one stack of blocks, not for `family: encoder_decoder`")
        if self.share_layers and self.family != "encoder":
            raise ValueError("`share_layers` is for `family: encoder` (ALBERT)")
        if self.placement == "post" and self.zero_init:
            raise ValueError("`zero_init` makes new blocks the identity, which the norms of `placement: post` undo")


@dataclass(frozen=True)
class LSTMSettings:
    """An AWD-LSTM (Merity et al. 2018); by default ULMFiT's shape, and the rates of fastai's language model of it."""

    backbone: Literal["lstm"]
    layers: int = 3
    # D, the width of the embeddings and of what the last layer gives out.
    width: int = 400
    # The width of the layers between.
    hidden: int = 1150
    # Longest input in tokens; a recurrent network itself has no limit.
    max_positions: int = 65_536
    tied: bool = True
    # Whole words of the embeddings; what enters the first layer; between layers; after the last; recurrent weights.
    embedding_dropout: float = 0.02
    input_dropout: float = 0.25
    hidden_dropout: float = 0.15
    output_dropout: float = 0.1
    weight_dropout: float = 0.2

    @property
    def family(self) -> str:
        """A recurrent network reads one way, as a decoder does."""
        return "decoder"

    def __post_init__(self) -> None:
        _require_counts(self, "layers", "width", "hidden", "max_positions")
        rates = ("embedding_dropout", "input_dropout", "hidden_dropout", "output_dropout", "weight_dropout")
        _require_rates(self, *rates)


ModelSettings = TransformerSettings | LSTMSettings


def settings_schema(values: Any) -> type[TransformerSettings] | type[LSTMSettings]:
    """The schema that the keys of a model's config belong to."""
    return LSTMSettings if isinstance(values, dict) and values.get("backbone") == "lstm" else TransformerSettings


def _require_counts(settings: Any, *names: str) -> None:
    for name in names:
        value = getattr(settings, name)
        if value is not None and value < 1:
            raise ValueError(f"`{name}: {value}` must be at least 1")


def _require_rates(settings: Any, *names: str) -> None:
    for name in names:
        if not 0 <= getattr(settings, name) < 1:
            raise ValueError(f"`{name}: {getattr(settings, name)}` must be at least 0 and below 1")
