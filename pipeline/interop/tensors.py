"""A network's weights in a safetensors file, and back with every name and shape checked."""

from pathlib import Path

import safetensors.torch
import torch
from safetensors import SafetensorError
from torch import Tensor, nn

from pipeline.base.errors import UserError
from pipeline.base.files import write_bytes

WRAPPERS = ("_orig_mod.", "module.")  # put before names by torch.compile and DistributedDataParallel


def save_tensors(path: Path, network: nn.Module) -> None:
    """Write the weights under their plain names, a tied one once; the bytes depend on names and values alone."""
    tensors = {plain(name): weight.detach().cpu().contiguous() for name, weight in network.state_dict().items()}
    write_bytes(path, safetensors.torch.save(tensors))


def load_tensors(path: Path, network: nn.Module, described_by: str = "config.json") -> None:
    """Fill every weight of `network` from the file; `UserError` if it is damaged or belongs to another network.

    `described_by`: what says how the network looks, for the error.
    """
    tensors = _read(path)
    expected = network.state_dict()
    names = {plain(name): name for name in expected}
    for found, problem in ((names.keys() - tensors.keys(), "lacks"), (tensors.keys() - names.keys(), "has unknown")):
        if found:
            listed = ", ".join(sorted(found)[:3]) + (", ..." if len(found) > 3 else "")
            raise UserError(
                f"{path}: {problem} {listed}; it does not belong to the network that {described_by} describes"
            )
    for name, tensor in sorted(tensors.items()):
        shape = tuple(expected[names[name]].shape)
        if tuple(tensor.shape) != shape:
            raise UserError(f"{path}: {name} has shape {tuple(tensor.shape)}, but {described_by} makes it {shape}")
    with torch.no_grad():
        for name, tensor in tensors.items():
            expected[names[name]].copy_(tensor)


def plain(name: str) -> str:
    """A weight's name without what torch.compile and DDP put into it."""
    for wrapper in WRAPPERS:
        name = name.replace(wrapper, "")
    return name


def _read(path: Path) -> dict[str, Tensor]:
    try:
        return safetensors.torch.load(path.read_bytes())
    except FileNotFoundError as error:
        raise UserError(f"{path}: no such file; run the stage that makes it (`dvc repro`)") from error
    except SafetensorError as error:
        raise UserError(f"{path}: is damaged or cut short ({error}); fetch or make it again") from error
