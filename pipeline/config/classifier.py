"""Schema of `configs/classifier/*.yaml`."""

from dataclasses import dataclass
from typing import Literal

from pipeline.config.numbers import Count, CountOrNone, Positive, ShareBelow1
from pipeline.config.training import TrainingConfig

Pool = Literal["last", "max", "mean"]


@dataclass(frozen=True, kw_only=True)
class ClassifierConfig(TrainingConfig):
    """Third stage: a classifier from the language model (ULMFiT, section 3.3)."""

    # Passes over the labelled documents in the last phase, with everything unfrozen.
    epochs: Positive = 10.0
    # gradual: head first, then one more layer group a phase, then all; full: everything at once; last: the head alone;
    # chain_thaw: head, then each group alone, then all (Felbo et al. 2017).
    unfreeze: Literal["gradual", "full", "last", "chain_thaw"] = "gradual"
    # Passes over the documents in each phase before the last.
    phase_epochs: Positive = 1.0
    # Documents of one optimiser step, over all devices.
    batch_documents: Count = 16
    # What is read off a layer, side by side, over true lengths ...
    pooling: tuple[Pool, ...] = ("last", "max", "mean")
    # ... and of which: the last, or all from the embeddings on (Peters et al. 2018, section 3.2, side by side).
    pool_layers: Literal["last", "all"] = "last"
    # Width of the head's hidden layer; 0 for a linear head.
    head_width: CountOrNone = 50
    # Dropout before each linear layer of the head.
    head_dropout: tuple[ShareBelow1, ...] = (0.4, 0.1)
    label_smoothing: ShareBelow1 = 0.0
    # balanced: a class counts in inverse proportion to its documents.
    class_weights: Literal["none", "balanced"] = "none"
    # Documents are read in chunks of this many tokens, all of them pooled together ...
    chunk_tokens: Count = 256
    # ... each beginning this many tokens before the last one's end ...
    overlap: CountOrNone = 0
    # ... with gradients through this many last chunks (BPT3C) ...
    gradient_chunks: Count = 2
    # ... and no more than this many tokens of one document; what is left out is counted.
    max_tokens: Count = 4096
    # Each token sees itself and those before it (true) or its whole chunk; auto: as the network's family does.
    causal: bool | Literal["auto"] = "auto"

    def __post_init__(self) -> None:
        if self.overlap >= self.chunk_tokens:
            raise ValueError(f"`overlap: {self.overlap}` must be below `chunk_tokens: {self.chunk_tokens}`")
        if not self.pooling:
            raise ValueError("`pooling` must name at least one of last, max, mean")
        if len(self.head_dropout) != (2 if self.head_width else 1):
            raise ValueError(
                "`head_dropout` needs one rate for each linear layer of the head: two, or one with `head_width: 0`"
            )
