"""A chosen file in a few words, for `ulmfit check`."""

from typing import Any

from pipeline.config.blend import BlendConfig
from pipeline.config.classifier import ClassifierConfig
from pipeline.config.dataset import DatasetConfig
from pipeline.config.hardware import HardwareConfig
from pipeline.config.language_model import LanguageModelConfig, PretrainConfig
from pipeline.config.self_train import SelfTrainConfig
from pipeline.config.tokenizer import TokenizerConfig
from pipeline.config.training import TrainingConfig
from pipeline.models.settings import LSTMSettings, TransformerSettings


def summary(config: Any) -> str:
    """What a validated config amounts to, in less than a line."""
    match config:
        case DatasetConfig():
            return _dataset(config)
        case TokenizerConfig():
            return f"byte-level BPE, {config.vocabulary:,} entries"
        case TransformerSettings():
            shape = f"{config.layers} layers, width {config.width}, {config.heads} heads"
            return f"{config.family}, {shape}, {config.max_positions:,} positions"
        case LSTMSettings():
            return f"AWD-LSTM, {config.layers} layers, width {config.width}, {config.hidden} inside"
        case PretrainConfig(start="folder") | PretrainConfig(start="huggingface"):
            return "no training: starts from a finished language model"
        case LanguageModelConfig():
            words = f" and words ({config.bag_of_words:g})" if config.bag_of_words else ""
            tokens = f"{config.tokens:,} tokens at {config.batch_tokens:,} a step"
            return f"{config.objective}{words}, {tokens}, {_rates(config)}"
        case ClassifierConfig():
            return f"unfreeze {config.unfreeze}, epochs {config.epochs:g}, {_rates(config)}"
        case BlendConfig(weight="none"):
            return "the network alone"
        case BlendConfig():
            return f"a linear model beside it, judged by {config.enough:,} documents or {config.folds} parts"
        case SelfTrainConfig(documents=0):
            return "no student: the classifier as its labels left it"
        case SelfTrainConfig():
            return f"a student of it, from {config.documents:,} unlabelled documents, epochs {config.epochs:g}"
        case HardwareConfig():
            return f"accelerator {config.accelerator}, devices {config.devices}, strategy {config.strategy}"
    raise TypeError(f"no summary for {type(config).__name__}")


def _dataset(config: DatasetConfig) -> str:
    if config.path == "none":
        return "no text"
    parts = [f"{config.path} {config.name}" if config.name else config.path]
    if config.path not in ("text", "folder", "embedded"):  # which have no columns of the user's
        parts.append(f"text {_names(config.text)}")
        if config.label is not None:
            parts.append(f"label {_names(config.label)}")
    if config.labels_per_class is not None:
        parts.append(f"{config.labels_per_class} labels per class")
    return ", ".join(parts)


def _rates(config: TrainingConfig) -> str:
    return f"{config.optimizer}, peak rate {config.learning_rate:g}, {config.schedule}"


def _names(columns: str | tuple[str, ...]) -> str:
    return columns if isinstance(columns, str) else "+".join(columns)
