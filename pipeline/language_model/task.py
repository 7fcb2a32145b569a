"""From a network and a config's objective to what trains and what it is asked."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from pipeline.base.errors import UserError
from pipeline.config.language_model import LanguageModelConfig
from pipeline.config.suitable import reading, unsuitable, wordless
from pipeline.interop.tensors import load_tensors
from pipeline.language_model.carry import CarriedLosses
from pipeline.language_model.losses import Losses, PredictionLosses
from pipeline.models.awd_lstm import AWDLSTM
from pipeline.models.build import Network
from pipeline.models.transformer import Transformer
from pipeline.objectives.bag_of_words import BagOfWords
from pipeline.objectives.masked import Masking
from pipeline.objectives.registry import objective
from pipeline.objectives.replaced_tokens import ReplacedTokenDetection
from pipeline.objectives.words import word_begins
from pipeline.text.tokenizer import load


@dataclass(frozen=True)
class LanguageModelTask:
    """A network and what it is trained to do."""

    # What is kept at the end.
    network: Network
    # What trains: the network, or something that holds it.
    trainee: Any
    losses: Losses
    # What is trained beside the network and kept for a later stage with the same objective.
    companion: nn.Module | None = None


def task_of(
    network: Network,
    config: LanguageModelConfig,
    tokenizer: Path,
    companion: Path | None,
    counts_V: Tensor | None = None,
    *,
    reverse: bool = False,
) -> LanguageModelTask:
    """Put the config's objective to `network`.

    companion: fills what an earlier stage trained beside it. counts_V: how often each token occurs in the corpus, which
    `bag_of_words` asks for; None: all alike. reverse: text is read backward.
    """
    if reason := unsuitable(config.objective, reading(network.settings)):
        raise UserError(f"`objective: {config.objective}` does not fit this language model: {reason}")
    if config.bag_of_words and (reason := wordless(reading(network.settings))):
        raise UserError(f"`bag_of_words` does not fit this language model: {reason}; leave it 0")
    if isinstance(network, AWDLSTM):
        return LanguageModelTask(network, network, CarriedLosses(network))
    if config.objective == "replaced_tokens":
        return _replaced_tokens(network, config, tokenizer, companion, reverse)
    made = objective(
        config.objective,
        vocabulary=network.vocabulary,
        mask_rate=config.mask_rate,
        begins_V=_begins(config, tokenizer),
        reverse=reverse,
        masked_share=config.masked_share,
        span_length=config.span_length,
    )
    words = None
    if config.bag_of_words:
        words = BagOfWords(torch.ones(network.vocabulary) if counts_V is None else counts_V)
    return LanguageModelTask(network, network, PredictionLosses(network, made, words, config.bag_of_words))


def _replaced_tokens(
    network: Network, config: LanguageModelConfig, tokenizer: Path, companion: Path | None, reverse: bool
) -> LanguageModelTask:
    assert isinstance(network, Transformer)  # `ulmfit check` has refused the others
    masking = Masking(network.vocabulary, config.mask_rate, _begins(config, tokenizer), reverse=reverse)
    detection = ReplacedTokenDetection(network, masking, config.seed, config.generator_divisor)
    beside = detection.companion()
    if companion is not None:
        load_tensors(companion, beside, f"`generator_divisor: {config.generator_divisor}`")
    return LanguageModelTask(network, detection, detection, beside)


def _begins(config: LanguageModelConfig, tokenizer: Path) -> Tensor | None:
    return word_begins(load(tokenizer)) if config.whole_words else None
