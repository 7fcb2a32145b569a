"""The weights of a folder in the form of `transformers`: safetensors, in one file or in shards with an index."""

from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from torch import Tensor

from pipeline.base.errors import UserError
from pipeline.base.files import read_json

WEIGHTS, INDEX = "model.safetensors", "model.safetensors.index.json"
# Names of a norm's weight and bias in files that were converted from TensorFlow.
RENAMED = {".gamma": ".weight", ".beta": ".bias"}


class Weights:
    """Tensors by their names in the model with its head, each read when it is taken."""

    def __init__(self, folder: Path, prefix: str) -> None:
        """`prefix`: of all names but the head's; files of a model without its head leave it out."""
        self.folder = folder
        files = [_open(path) for path in _files(folder)]
        found = {name: file for file in files for name in file.keys()}  # noqa: SIM118 (not a mapping)
        bare = not any(name.startswith(prefix) for name in found)
        self._places = {_canonical(prefix + name if bare else name): (file, name) for name, file in found.items()}
        self.left = set(self._places)

    def __contains__(self, name: object) -> bool:
        return name in self._places

    def take(self, name: str) -> Tensor:
        """The tensor in fp32; it is no longer `left`."""
        self.left.discard(name)
        return self.peek(name)

    def peek(self, name: str) -> Tensor:
        """The tensor in fp32; whether it is used is not said by that."""
        if name not in self._places:
            raise UserError(f"{self.folder}: the weights lack {name}, which config.json calls for; fetch them again")
        file, stored = self._places[name]
        return file.get_tensor(stored).to(torch.float32)


def _files(folder: Path) -> list[Path]:
    if (folder / WEIGHTS).is_file():
        return [folder / WEIGHTS]
    if (folder / INDEX).is_file():
        # A name is of a file beside the index, never of one elsewhere.
        return [folder / Path(name).name for name in sorted(_named(folder / INDEX))]
    if list(folder.glob("*.bin")) or list(folder.glob("*.pt")):
        raise UserError(
            f"{folder}: its weights are pickles, which can run code and are not read; convert them where you trust "
            "them: `AutoModel.from_pretrained(FOLDER).save_pretrained(FOLDER)` with `transformers` writes safetensors"
        )
    raise UserError(f"{folder}: {WEIGHTS} is missing; put the files of a `transformers` model there")


def _named(path: Path) -> set[str]:
    """The files that an index names."""
    index = read_json(path)
    places = index.get("weight_map") if isinstance(index, dict) else None
    if not isinstance(places, dict) or not all(isinstance(name, str) and Path(name).name for name in places.values()):
        raise UserError(f"{path}: its `weight_map` does not name the file of each tensor; fetch it again")
    return set(places.values())


def _open(path: Path) -> Any:
    try:
        return safe_open(path, framework="pt")
    except FileNotFoundError as error:
        raise UserError(f"{path}: no such file, but the index names it; fetch it") from error
    except SafetensorError as error:
        raise UserError(f"{path}: is damaged or cut short ({error}); fetch it again") from error


def _canonical(name: str) -> str:
    for old, new in RENAMED.items():
        if name.endswith(old):
            return name.removesuffix(old) + new
    return name
