"""Schema of `configs/pretrain/*.yaml` and `configs/finetune_lm/*.yaml`."""

from dataclasses import dataclass
from typing import Annotated, Literal

from pydantic import Field

from pipeline.config.numbers import Count, NotNegative, Rate
from pipeline.config.training import TrainingConfig

Objective = Literal["causal", "masked", "hybrid", "spans", "prefix", "replaced_tokens"]


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
    # Of `embeddings: spectral`: what standing in one passage (512 tokens) counts, beside standing within four tokens.
    passages: NotNegative = 0.0
    # What is predicted. causal: each token from those before it; masked: hidden tokens from both sides (BERT);
    # hybrid: some windows each way (GPT-BERT); spans: what was cut out, by an encoder-decoder (T5); prefix: what
    # follows a prefix seen whole; replaced_tokens: which tokens a small generator has replaced (ELECTRA).
    objective: Objective = "causal"
    # Share of the tokens that masked, hybrid, spans and replaced_tokens hide.
    mask_rate: Rate = 0.15
    # Hide whole words, where tokens are hidden one by one.
    whole_words: bool = False
    # Share of the windows that hybrid masks.
    masked_share: Rate = 0.5
    # Mean length of the spans that spans cuts out, in tokens.
    span_length: Annotated[float, Field(ge=1)] = 3.0
    # How many times as narrow as the network the generator of replaced_tokens is (ELECTRA small and large: 4, base: 3).
    generator_divisor: Count = 4

    # Beside the causal objective: how much it counts, in nats a token, that the mean state of a document's first part
    # names the words of the rest. Losses are reported without it. 0: not asked.
    bag_of_words: NotNegative = 0.0
    # One factor on every dropout rate of the model's config (ULMFiT's drop_mult). auto: 0 while the corpus is read once
    # or less, where there is nothing to overfit, else 1.
    drop_mult: NotNegative | Literal["auto"] = 1.0  # type: ignore[assignment]

    def __post_init__(self) -> None:
        if self.bag_of_words and self.objective != "causal":
            raise ValueError(
                f"`bag_of_words` stands beside `objective: causal` alone, which is blind to the words it asks for; "
                f"with `objective: {self.objective}` leave it 0"
            )
        if self.batch_tokens % self.length:
            raise ValueError(
                f"`batch_tokens: {self.batch_tokens}` must be a multiple of `length: {self.length}`; "
                f"take {max(1, self.batch_tokens // self.length) * self.length}"
            )

    def dropout_factor(self, corpus_tokens: int) -> float:
        """`drop_mult` for a corpus of so many tokens."""
        if self.drop_mult != "auto":
            return self.drop_mult
        return 1.0 if self.tokens > corpus_tokens else 0.0


@dataclass(frozen=True, kw_only=True)
class PretrainConfig(LanguageModelConfig):
    """First stage: a language model on the generic corpus."""

    # scratch: train here; folder: take the model and tokenizer in data/pretrained/NAME (`pretrained: NAME`);
    # huggingface: the same for a folder that `transformers` wrote, or for `hub`.
    start: Literal["scratch", "folder", "huggingface"]
    # A model's name on the Hugging Face hub, and the commit that is meant; without them `pretrained: NAME` counts.
    hub: str | None = None
    revision: str | None = None
    # First embeddings: noise, or the spectral factorisation of the corpus's co-occurrence counts.
    embeddings: Literal["noise", "spectral"] = "noise"


@dataclass(frozen=True, kw_only=True)
class FinetuneConfig(LanguageModelConfig):
    """Second stage: the same model on the domain's text."""

    # keep: the pretrained embeddings as they are; spectral: moved towards the domain's own factorisation, by how often
    # pretraining has met each token; those of a finished model stay as they are, since nobody knows that of them.
    embeddings: Literal["keep", "spectral"] = "keep"
