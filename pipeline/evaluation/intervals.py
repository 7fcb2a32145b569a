"""How sure a number is: percentile bootstrap over the test documents, paired between systems."""

from collections.abc import Mapping

import numpy as np
from scipy.sparse import csr_array

from pipeline.evaluation.scores import macro_f1

RESAMPLES = 2000
SEED = 1
BLOCK = 2**24  # counts held at a time
PERCENTILES = (2.5, 97.5)


def resampled(carried_NC: np.ndarray, decided_NC: Mapping[str, np.ndarray]) -> dict[str, dict[str, np.ndarray]]:
    """Accuracy and macro-F1 of each system on the same resamples of the N documents.

    Documents with the same truth and the same decisions are interchangeable, so a resample is a count of each kind of
    document, and its scores are sums over kinds. Few of all classes are carried or decided by a document, so these are
    held as sparse matrices.

    Returns:
        System -> {"accuracy": (RESAMPLES,), "macro_f1": (RESAMPLES,)}. Differences between systems are paired.
    """
    kinds_K, kind_N = _kinds(np.concatenate([carried_NC, *decided_NC.values()], axis=1))
    true_KC = csr_array(carried_NC[kinds_K], dtype=np.float64)
    per_kind = {}
    for name, one_NC in decided_NC.items():
        one_KC = csr_array(one_NC[kinds_K], dtype=np.float64)
        right_K = (one_NC == carried_NC).all(axis=1)[kinds_K].astype(np.float64)
        per_kind[name] = right_K, true_KC.multiply(one_KC).tocsr(), one_KC
    generator = np.random.Generator(np.random.PCG64(SEED))
    blocks: dict[str, list[tuple[np.ndarray, np.ndarray]]] = {name: [] for name in decided_NC}
    rows = max(1, BLOCK // len(kinds_K))
    for first in range(0, RESAMPLES, rows):
        counts_RK = _draw(generator, kind_N, len(kinds_K), min(rows, RESAMPLES - first))
        true_RC = _summed(counts_RK, true_KC)
        for name, (right_K, hits_KC, decided_KC) in per_kind.items():
            macro_R = macro_f1(_summed(counts_RK, hits_KC), _summed(counts_RK, decided_KC), true_RC)
            blocks[name].append((counts_RK @ right_K / len(carried_NC), macro_R))
    return {
        name: {
            "accuracy": np.concatenate([accuracy_R for accuracy_R, _ in parts]),
            "macro_f1": np.concatenate([macro_R for _, macro_R in parts]),
        }
        for name, parts in blocks.items()
    }


def interval(values_R: np.ndarray) -> list[float]:
    """Where the middle 95 % of the resampled values lie: [low, high]."""
    return [float(value) for value in np.percentile(values_R, PERCENTILES)]


def _kinds(rows_NW: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The first document of each kind, and the kind of each document; documents are rows of booleans."""
    packed = np.ascontiguousarray(np.packbits(rows_NW, axis=1))
    keys_N = packed.view(np.dtype((np.void, packed.shape[1]))).ravel()
    _, first_K, kind_N = np.unique(keys_N, return_index=True, return_inverse=True)
    return first_K, kind_N


def _draw(generator: np.random.Generator, kind_N: np.ndarray, kinds: int, resamples: int) -> np.ndarray:
    """How often each kind occurs in each of some resamples with replacement: (R, K) float64, exact whole numbers."""
    counts_RK = np.empty((resamples, kinds))
    for counts_K in counts_RK:
        counts_K[:] = np.bincount(kind_N[generator.integers(len(kind_N), size=len(kind_N))], minlength=kinds)
    return counts_RK


def _summed(counts_RK: np.ndarray, marks_KC: csr_array) -> np.ndarray:
    """Documents of each resample that are marked for each class: (R, C), exact whole numbers in any order of adding.

    In the usual order of memory, on which the last bits of means over classes depend.
    """
    return np.ascontiguousarray(counts_RK @ marks_KC)
