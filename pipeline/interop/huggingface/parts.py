"""Which tensor of ours holds the same numbers as which of theirs: written once, read in both directions."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor


@dataclass(frozen=True)
class Part:
    """One tensor of our network, and the tensors of a `transformers` model that are made of the same numbers."""

    ours: str
    theirs: tuple[str, ...]
    to_ours: Callable[..., Tensor]
    to_theirs: Callable[[Tensor], tuple[Tensor, ...]]
    # Whether its rows are the entries of the vocabulary.
    tokens: bool = False


def same(ours: str, theirs: str, *, factor: float = 1.0, tokens: bool = False) -> Part:
    """Ours is theirs times `factor`."""
    return Part(ours, (theirs,), lambda x: x * factor, lambda x: (x / factor,), tokens)


def transposed(ours: str, theirs: str) -> Part:
    """Their matrix is (inputs, outputs), ours (outputs, inputs)."""
    return Part(ours, (theirs,), lambda x: x.T, lambda x: (x.T,))


def joined(ours: str, theirs: Sequence[str], rows: Sequence[int], factors: Sequence[float] | None = None) -> Part:
    """Ours is several of theirs under each other, of so many rows each, each times its factor."""
    scales = factors or [1.0] * len(rows)

    def to_ours(*tensors: Tensor) -> Tensor:
        return torch.cat([x * scale for x, scale in zip(tensors, scales, strict=True)])

    def to_theirs(tensor: Tensor) -> tuple[Tensor, ...]:
        return tuple(x / scale for x, scale in zip(tensor.split(list(rows)), scales, strict=True))

    return Part(ours, tuple(theirs), to_ours, to_theirs)


def affine(ours: str, theirs: str) -> Iterator[Part]:
    """Weight and bias of a linear layer or norm."""
    for name in ("weight", "bias"):
        yield same(f"{ours}.{name}", f"{theirs}.{name}")
