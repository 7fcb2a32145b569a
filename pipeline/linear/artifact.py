"""The folder of a blend: the weights, and the linear model where it has one. No pickle: strings, arrays, numbers."""

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
    """A linear model to stand beside the network; None with weights that leave it out."""

    labels: tuple[str, ...]
    weights: Weights
    linear: NgramClassifier | None

    def blended(self, network_NC: np.ndarray, texts: list[str]) -> np.ndarray:
        """The network's probabilities (N, C) of some texts, with the linear model's word on them."""
        if self.linear is None:
            return network_NC
        return self.weights.pooled(network_NC, self.linear.predict_proba(texts), self.linear.multilabel)


def save_blend(folder: Path, blend: Blend) -> None:
    """Write a blend; `folder` is replaced as a whole or left as it was."""
    config: dict[str, Any] = {"kind": "blend", "labels": list(blend.labels), "weights": asdict(blend.weights)}
    linear = blend.linear
    with whole_folder(folder) as partial:
        if linear is not None:
            config["linear"] = {
                "ngrams": _kind(linear.vocabulary.ngrams),
                "multilabel": linear.multilabel,
                "temperature": linear.model.temperature,
                "settings": dict(linear.settings),
            }
            arrays = {"weights_VC": linear.model.weights_VC, "bias_C": linear.model.bias_C}
            arrays |= {} if linear.idf_V is None else {"idf_V": linear.idf_V}
            single = {name: np.ascontiguousarray(array, dtype=np.float32) for name, array in arrays.items()}
            write_bytes(partial / ARRAYS, save(single))
            write_json(partial / TERMS, list(linear.vocabulary.terms))
        write_json(partial / CONFIG, config)


def load_blend(folder: Path) -> Blend:
    """Read what `save_blend` wrote; a damaged folder is a `UserError`."""
    config = read_json(folder / CONFIG)
    try:
        labels, weights, said = tuple(config["labels"]), Weights(**config["weights"]), config.get("linear")
        if said is None:
            return Blend(labels, weights, None)
        terms, arrays = tuple(read_json(folder / TERMS)), load_file(folder / ARRAYS)
        weights_VC, bias_C = arrays["weights_VC"], arrays["bias_C"]
        if weights_VC.shape != (len(terms), len(labels)) or bias_C.shape != (len(labels),):
            raise ValueError(f"{len(terms)} terms and {len(labels)} labels, but weights of {weights_VC.shape}")
        vocabulary = Vocabulary(KINDS[said["ngrams"]["kind"]](said["ngrams"]["spaced"]), terms)
        model = LinearModel(weights_VC, bias_C, float(said["temperature"]))
    except (KeyError, TypeError, ValueError, SafetensorError, OSError) as error:
        raise UserError(f"{folder}: is not a whole blend ({error}); make it again with `dvc repro blend`") from error
    linear = NgramClassifier(vocabulary, arrays.get("idf_V"), model, bool(said["multilabel"]), said["settings"])
    return Blend(labels, weights, linear)


def _kind(ngrams: Ngrams) -> dict[str, Any]:
    """The features by name: a pattern that is read from a file could be one that never ends."""
    pairs = ((kind, spaced) for kind in KINDS for spaced in (True, False))
    kind, spaced = next(pair for pair in pairs if KINDS[pair[0]](pair[1]) == ngrams)
    return {"kind": kind, "spaced": spaced}
