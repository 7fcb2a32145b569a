"""A folder in the form of `transformers`, as one of our networks."""

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import NamedTuple

import torch
from torch import Tensor

from pipeline.base.errors import UserError
from pipeline.interop.huggingface.config import Config
from pipeline.interop.huggingface.families import family_of
from pipeline.interop.huggingface.family import Family
from pipeline.interop.huggingface.parts import Part
from pipeline.interop.huggingface.vocabulary import Vocabulary
from pipeline.interop.huggingface.weights import Weights
from pipeline.models.build import Network, new_network
from pipeline.models.settings import TransformerSettings

CONFIG = "config.json"


class Loaded(NamedTuple):
    """A network of ours, and what has become of the other."""

    network: Network
    # One line each: what was left behind.
    notes: tuple[str, ...]


def load_huggingface(folder: Path, specials: Sequence[str], tokenizer: Path) -> Loaded:
    """The network in a folder with config.json, safetensors and tokenizer.json, in fp32.

    Its vocabulary is our `specials`, in the order of their numbers, and then the model's own. The row of a special
    token is that of the model's token of the same meaning, or the mean of all rows. `tokenizer`: what
    `Vocabulary.shifted` has made of the model's, whose numbers the texts are in.
    """
    config = Config.read(folder / CONFIG)
    family, vocabulary = family_of(config), Vocabulary(folder, specials)
    if tokenizer.read_text(encoding="utf-8") != vocabulary.shifted():
        raise UserError(
            f"{tokenizer}: is not the tokenizer of the model in {folder}; "
            "run `dvc repro --force --single-item tokenizer`"
        )
    weights = Weights(folder, family.prefix)
    settings = _settings(config, family, weights)
    network = new_network(settings, len(vocabulary.number_of) + vocabulary.shift)
    extend = _extension(vocabulary, family, folder)
    state = network.state_dict()
    with torch.no_grad():
        for part in family.parts(settings):
            _fill(state.pop(part.ours), part, weights, extend, folder)
    assert not state, f"{family.name} says nothing of {sorted(state)}"
    return Loaded(network, tuple(_notes(settings, family, weights, vocabulary, folder)))


def _settings(config: Config, family: Family, weights: Weights) -> TransformerSettings:
    tied = config.flag("tie_word_embeddings", family.name != "llama")
    if family.head in weights:
        tied = torch.equal(weights.peek(family.head), weights.peek(family.embeddings))
    try:
        return family.settings(config, weights, tied)
    except ValueError as error:
        raise UserError(f"{config.path}: {error}") from error


def _extension(vocabulary: Vocabulary, family: Family, folder: Path) -> Callable[[Tensor], Tensor]:
    """What puts the rows of our specials first, of a tensor with one row (or number) for each entry."""
    rows, size = vocabulary.rows_of(family.specials), len(vocabulary.number_of)

    def extend(theirs: Tensor) -> Tensor:
        if len(theirs) < size:
            raise UserError(
                f"{folder}: the tokenizer has {size} entries, but the weights only {len(theirs)} rows; "
                "take both from one model"
            )
        known = theirs[:size]
        mean = known.mean(0)
        ours = [mean if row is None else known[row] for row in rows]
        return torch.cat([torch.stack(ours), known]) if vocabulary.shift else known

    return extend


def _fill(ours: Tensor, part: Part, weights: Weights, extend: Callable[[Tensor], Tensor], folder: Path) -> None:
    value = part.to_ours(*(weights.take(name) for name in part.theirs))
    value = extend(value) if part.tokens else value
    if value.shape != ours.shape:
        raise UserError(
            f"{folder}: {', '.join(part.theirs)} of shape {tuple(value.shape)} should be of {tuple(ours.shape)} "
            "after config.json; take both from one model"
        )
    ours.copy_(value)


def _notes(
    settings: TransformerSettings, family: Family, weights: Weights, vocabulary: Vocabulary, folder: Path
) -> list[str]:
    unknown = sorted(name for name in weights.left if not family.ignored.fullmatch(name))
    if unknown:
        listed = ", ".join(unknown[:3]) + (", ..." if len(unknown) > 3 else "")
        raise UserError(f"{folder}: the weights have {listed}, which no {family.name} that is known here has")
    notes = []
    if rows := len(weights.peek(family.embeddings)) - len(vocabulary.number_of):
        notes.append(f"{rows} rows of the embeddings, which the tokenizer has no entries for, are left out")
    if settings.family == "encoder" and not settings.output_transform:
        notes.append("the model has no head for masked words: it scores words by their embeddings alone")
    return notes
