"""Concat pooling (Howard & Ruder 2018, section 3.2) over documents that were read in chunks.

Each chunk gives one summary vector per pool, and the summaries of a document's chunks are joined. Only true positions
that no earlier chunk has counted take part, so padding, overlap and the neighbours in a batch never show.
"""

import torch
import torch.nn.functional as F
from torch import Tensor

from pipeline.classifier.reading import Chunks

# What stands in the place of a chunk that a document does not have.
ABSENT = {"last": 0.0, "max": -torch.inf, "mean": 0.0}


def summarise(pool: str, hidden_MTD: Tensor, chunks: Chunks) -> Tensor:
    """One chunk's part in one pool, in fp32.

    Args:
        pool: "last", "max" or "mean".
        hidden_MTD: hidden states of M chunks, right-padded.
        chunks: the same chunks; their positions `context <= t < length` count.

    Returns:
        `summary_MD`: the last hidden state (zeros where the document goes on), the maximum, or the sum.
    """
    if pool == "last":
        rows_M = torch.arange(len(hidden_MTD), device=hidden_MTD.device)
        return hidden_MTD[rows_M, chunks.length_M - 1].float() * chunks.last_M[:, None]
    position_T = torch.arange(hidden_MTD.size(1), device=hidden_MTD.device)
    counts_MT = (position_T >= chunks.context_M[:, None]) & (position_T < chunks.length_M[:, None])
    if pool == "max":
        return hidden_MTD.masked_fill(~counts_MT[:, :, None], -torch.inf).amax(dim=1).float()
    return hidden_MTD.masked_fill(~counts_MT[:, :, None], 0.0).sum(dim=1, dtype=torch.float32)


def join(pool: str, summary_BND: Tensor, length_B: Tensor, widths: list[int]) -> Tensor:
    """Join the summaries of each document's chunks, and bring the result to zero mean and unit variance.

    A maximum is several times larger than a hidden state and a mean several times smaller; as a head trains each of
    its inputs at one rate, each pool of each layer is normalised for itself (a LayerNorm without parameters).

    Args:
        summary_BND: N chunks a document, `ABSENT[pool]` where it has fewer.
        length_B: true tokens of each document.
        widths: of the layers whose states stand side by side; their sum is D.
    """
    if pool == "max":
        pooled_BD = summary_BND.amax(dim=1)
    elif pool == "mean":
        pooled_BD = summary_BND.sum(dim=1) / length_B[:, None]
    else:
        pooled_BD = summary_BND.sum(dim=1)
    layers = pooled_BD.split(widths, dim=1)
    return torch.cat([F.layer_norm(layer_BD, layer_BD.shape[-1:]) for layer_BD in layers], dim=1)
