"""Windows of tokens with documents in them, and the seeds of their rows."""

import torch
from torch import Tensor

from pipeline.objectives.example import Example
from pipeline.text.specials import BOS, EOS, SPECIALS

VOCABULARY = len(SPECIALS) + 200


def windows(rows: int, length: int) -> Tensor:
    """(rows, length + 1) random tokens; from 12 tokens on, a document ends and the next begins in each row."""
    generator = torch.Generator().manual_seed(rows + length)
    tokens = torch.randint(len(SPECIALS), VOCABULARY, (rows, length + 1), generator=generator)
    if length >= 12:
        tokens[:, 4], tokens[:, 5] = EOS, BOS
    return tokens


def seeds(rows: int) -> Tensor:
    """Seeds as large as those of a run."""
    return torch.randint(0, 2**62, (rows,), generator=torch.Generator().manual_seed(7))


def by_row(examples: list[Example], rows_B: Tensor) -> dict[int, list]:
    """What each row (`rows_B`: its number outside the batch) was made into."""
    made = {}
    for example in examples:
        for place, row in enumerate(example.rows_B.tolist()):
            tensors = (example.inputs_BT, example.targets_BT, example.prefix_B, example.source_BS)
            parts = [None if tensor is None else tensor[place].tolist() for tensor in tensors]
            made[int(rows_B[row])] = [*parts, example.causal, example.weight]
    return made
