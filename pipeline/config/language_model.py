"""Schema of `configs/pretrain/*.yaml` and `configs/finetune_lm/*.yaml`."""

from dataclasses import dataclass
from typing import Literal

from pipeline.config.training import Count, TrainingConfig


@dataclass(frozen=True, kw_only=True)
class LanguageModelConfig(TrainingConfig):
    """Training of a language model on a corpus, for a budget of tokens."""

    # Tokens to train on; the corpus is repeated when it is shorter.
    tokens: Count = 1_000_000
    # Tokens of one optimiser step, over all devices.
    batch_tokens: Count = 4096
    # Tokens the model sees at once.
    length: Count = 256
    # Steps between two measurements of the validation loss; one always ends the run.
    validate_every: Count = 200
    # Tokens of the validation part that a measurement reads at most.
    validation_tokens: Count = 100_000
    # causal: each token from those before it.
    objective: Literal["causal"] = "causal"

    def __post_init__(self) -> None:
        if self.batch_tokens % self.length:
            raise ValueError(
                f"`batch_tokens: {self.batch_tokens}` must be a multiple of `length: {self.length}`; "
                f"take {max(1, self.batch_tokens // self.length) * self.length}"
            )


@dataclass(frozen=True, kw_only=True)
class PretrainConfig(LanguageModelConfig):
    """First stage: a language model on the generic corpus."""

    # scratch: train here; folder: take the model and tokenizer in data/pretrained/NAME (`pretrained: NAME`).
    start: Literal["scratch", "folder"]
    # First embeddings: noise, or the spectral factorisation of the corpus's co-occurrence counts.
    embeddings: Literal["noise", "spectral"] = "noise"


@dataclass(frozen=True, kw_only=True)
class FinetuneConfig(LanguageModelConfig):
    """Second stage: the same model on the domain's text."""

    # keep: the pretrained embeddings as they are; spectral: moved towards the domain's own factorisation.
    embeddings: Literal["keep", "spectral"] = "keep"
