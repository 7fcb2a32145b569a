"""The folder of a blend: the weights, and the linear models that have one. No pickle: strings, arrays, numbers."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
from safetensors import SafetensorError
from safetensors.numpy import load_file, save

from pipeline.base.errors import UserError
from pipeline.base.files import read_json, whole_folder, write_bytes, write_json
from pipeline.linear.blend import Weights
from pipeline.linear.classifier import NgramClassifier
from pipeline.linear.features import Ngrams, Vocabulary, token_ngrams, word_ngrams
from pipeline.linear.model import LinearModel

CONFIG, ARRAYS, TERMS = "config.json", "linear.safetensors", "terms.json"
KINDS = {"words": word_ngrams, "tokens": token_ngrams}


@dataclass(frozen=True)
class Blend:
    """The linear models that stand beside the network; none where it is alone."""

    labels: tuple[str, ...]
    # The folders' names of the networks that it was weighed beside: what another choice left there is none of them.
    directions: tuple[str, ...]
    weights: Weights
    # By name: those that have a weight.
    linear: Mapping[str, NgramClassifier]

    def said_by_linear(self, texts: list[str]) -> dict[str, np.ndarray]:
        """Probabilities (N, C) of each linear model; n-grams that two of them share are counted once."""
        vocabularies = {id(one.vocabulary): one.vocabulary for one in self.linear.values()}
        counts = {key: vocabulary.counts(texts) for key, vocabulary in vocabularies.items()}
        return {name: one.probabilities(counts[id(one.vocabulary)]) for name, one in self.linear.items()}

    def blended(self, network_NC: np.ndarray, texts: list[str], multilabel: bool) -> np.ndarray:
        """The network's probabilities (N, C) of some texts, with the linear models' word on them.

        A network that stands alone has a weight too, which is its temperature.
        """
        return self.pooled(network_NC, self.said_by_linear(texts), multilabel)

    def pooled(self, network_NC: np.ndarray, linear_NC: Mapping[str, np.ndarray], multilabel: bool) -> np.ndarray:
        """The same of what the linear models have said."""
        if not self.linear and self.weights.network == 1:
            return network_NC
        return self.weights.pooled(network_NC, linear_NC, multilabel)


def save_blend(folder: Path, blend: Blend) -> None:
    """Write a blend; `folder` is replaced as a whole or left as it was."""
    vocabularies = list({id(one.vocabulary): one.vocabulary for one in blend.linear.values()}.values())
    about: dict[str, Any] = {}
    arrays: dict[str, np.ndarray] = {}
    for name, one in blend.linear.items():
        about[name] = {
            "vocabulary": next(place for place, each in enumerate(vocabularies) if each is one.vocabulary),
            "multilabel": one.multilabel,
            "temperature": one.model.temperature,
            "settings": dict(one.settings),
        }
        own = {"weights_VC": one.model.weights_VC, "bias_C": one.model.bias_C}
        own |= {} if one.idf_V is None else {"idf_V": one.idf_V}
        arrays |= {f"{name}.{of}": np.ascontiguousarray(array, dtype=np.float32) for of, array in own.items()}
    config: dict[str, Any] = {"kind": "blend", "labels": list(blend.labels), "directions": list(blend.directions)}
    config["weights"] = asdict(blend.weights)
    with whole_folder(folder) as partial:
        if blend.linear:
            config |= {"linear": about, "ngrams": [_kind(vocabulary.ngrams) for vocabulary in vocabularies]}
            write_bytes(partial / ARRAYS, save(arrays))
            write_json(partial / TERMS, [list(vocabulary.terms) for vocabulary in vocabularies])
        write_json(partial / CONFIG, config)


def load_blend(folder: Path) -> Blend:
    """Read what `save_blend` wrote; a damaged folder is a `UserError`."""
    config = read_json(folder / CONFIG)
    try:
        labels, directions = tuple(config["labels"]), tuple(config["directions"])
        weights, about = Weights(**config["weights"]), config.get("linear", {})
        if not directions or not all(map(str.isalpha, directions)):  # they name folders
            raise ValueError(f"networks {directions}")
        if set(weights.linear) != set(about):
            raise ValueError(f"weights of {sorted(weights.linear)}, but models {sorted(about)}")
        if not about:
            return Blend(labels, directions, weights, {})
        ngrams = [KINDS[one["kind"]](one["spaced"]) for one in config["ngrams"]]
        terms = read_json(folder / TERMS)
        vocabularies = [Vocabulary(kind, tuple(one)) for kind, one in zip(ngrams, terms, strict=True)]
        arrays = load_file(folder / ARRAYS)
        linear = {name: _linear(name, said, vocabularies, arrays, len(labels)) for name, said in about.items()}
    except (KeyError, IndexError, TypeError, ValueError, SafetensorError, OSError) as error:
        raise UserError(f"{folder}: is not a whole blend ({error}); make it again with `dvc repro blend`") from error
    return Blend(labels, directions, weights, linear)


def _linear(
    name: str, said: Mapping[str, Any], vocabularies: list[Vocabulary], arrays: Mapping[str, np.ndarray], classes: int
) -> NgramClassifier:
    vocabulary = vocabularies[said["vocabulary"]]
    weights_VC, bias_C = arrays[f"{name}.weights_VC"], arrays[f"{name}.bias_C"]
    if weights_VC.shape != (len(vocabulary.terms), classes) or bias_C.shape != (classes,):
        raise ValueError(f"{name}: {len(vocabulary.terms)} terms, {classes} labels, but weights of {weights_VC.shape}")
    model = LinearModel(weights_VC, bias_C, float(said["temperature"]))
    return NgramClassifier(vocabulary, arrays.get(f"{name}.idf_V"), model, bool(said["multilabel"]), said["settings"])


def _kind(ngrams: Ngrams) -> dict[str, Any]:
    """The features by name: a pattern that is read from a file could be one that never ends."""
    pairs = ((kind, spaced) for kind in KINDS for spaced in (True, False))
    kind, spaced = next(pair for pair in pairs if KINDS[pair[0]](pair[1]) == ngrams)
    return {"kind": kind, "spaced": spaced}
