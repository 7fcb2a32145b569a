"""Truncated singular value decomposition of sparse matrices, the same on any number of threads."""

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import torch
from scipy import sparse
from torch import Tensor

OVERSAMPLING = 32  # directions carried along beyond those asked for
POWER_ITERATIONS = 3


def truncated_svd(matrix: sparse.csr_array, rank: int, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """The largest singular values (R,), R <= rank, and their left singular vectors (V, R), both float64.

    Randomised subspace iteration (Halko, Martinsson & Tropp 2011, algorithm 4.4). The products with the matrix are
    summed in one order whatever the number of threads, and the rest is float64, so that the directions of nearly equal
    strength do not turn from machine to machine.
    """
    width = min(rank + OVERSAMPLING, *matrix.shape)
    random = np.random.Generator(np.random.PCG64(seed))
    start = random.standard_normal((matrix.shape[1], width), dtype=np.float32)
    with ThreadPoolExecutor(torch.get_num_threads()) as threads:
        times, times_transposed = _product(matrix, threads), _product(matrix.T.tocsr(), threads)
        basis = _orthonormal(times(start))
        for _ in range(POWER_ITERATIONS):
            basis = _orthonormal(times(times_transposed(basis.numpy())))
        small = torch.from_numpy(times_transposed(basis.numpy())).double()  # (V, width): basis.T @ matrix, transposed
    squares, turns = torch.linalg.eigh(small.T @ small)
    strengths = squares.flip(0)[:rank].clamp(min=0).sqrt()
    strengths = strengths[strengths > 1e-4 * strengths[:1]]
    left = basis @ turns.flip(1)[:, : len(strengths)]
    largest = left.gather(0, left.abs().argmax(0, keepdim=True))
    return (left * largest.sign()).numpy(), strengths.numpy()


def _product(matrix: sparse.csr_array, threads: ThreadPoolExecutor) -> Callable[[np.ndarray], np.ndarray]:
    """`matrix @ x` in float32, a panel of columns at a time: 32 of them stay in a core's cache."""

    def product(x: np.ndarray) -> np.ndarray:
        panels = np.array_split(x.astype(np.float32), -(-x.shape[1] // 32), axis=1)
        return np.concatenate(list(threads.map(lambda panel: matrix @ np.ascontiguousarray(panel), panels)), axis=1)

    return product


def _orthonormal(columns: np.ndarray) -> Tensor:
    """An orthonormal basis of the columns' space: float64, the same shape."""
    return torch.linalg.qr(torch.from_numpy(columns).double())[0]
