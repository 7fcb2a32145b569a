"""A row of a study: what some systems said of the documents that it is scored on, and the numbers that follow."""

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from time import perf_counter
from typing import Any

import numpy as np
from safetensors.numpy import load_file, save

from benchmarks.common import machine
from pipeline.base.errors import UserError
from pipeline.base.files import read_json, whole_folder, write_bytes, write_json
from pipeline.evaluation.intervals import RESAMPLES, SEED, interval

NUMBERS, SAID, LABELS = "row.json", "said.safetensors", "labels"


@dataclass(frozen=True)
class Said:
    """Probabilities of one system, (N, C), and the seconds that it took from labelled texts to them."""

    test_NC: np.ndarray
    seconds: float


def timed(function: Callable[[], np.ndarray]) -> Said:
    """What a system says, and how long it took."""
    started = perf_counter()
    return Said(function(), perf_counter() - started)


def write_row(
    folder: Path,
    about: Mapping[str, Any],
    labels_N: np.ndarray,
    systems: Mapping[str, Said],
    more: Mapping[str, np.ndarray] | None = None,
) -> None:
    """Keep a row as a folder: numbers as sorted JSON, probabilities as single-precision arrays.

    about: what tells this row from others, and whatever else it found out.
    more: further arrays that other rows read.
    """
    numbers = {
        name: {"error": error(said.test_NC, labels_N), "seconds": round(said.seconds, 1)}
        for name, said in systems.items()
    }
    arrays = {name: np.ascontiguousarray(said.test_NC, np.float32) for name, said in systems.items()}
    arrays |= {name: np.ascontiguousarray(array, np.float32) for name, array in (more or {}).items()}
    with whole_folder(folder) as partial:
        write_bytes(partial / SAID, save({**arrays, LABELS: labels_N.astype(np.int32)}))
        write_json(
            partial / NUMBERS,
            {**about, "documents": len(labels_N), "systems": numbers, "machine": machine()},
        )
    said = ", ".join(f"{name} {one['error']:.4f} ({one['seconds']:.0f} s)" for name, one in numbers.items())
    print(f"  error: {said}", flush=True)


def read_row(folder: Path) -> dict[str, Any]:
    """The numbers of a row."""
    return dict(read_json(folder / NUMBERS))


def read_said(folder: Path) -> dict[str, np.ndarray]:
    """The arrays of a row by name; the true classes under `labels`."""
    try:
        return dict(load_file(folder / SAID))
    except FileNotFoundError as missing:
        raise UserError(f"{folder}: no such row; run the study (`dvc repro`)") from missing


def error(said_NC: np.ndarray, labels_N: np.ndarray) -> float:
    """Share of the documents whose most probable class is not theirs."""
    return float((said_NC.argmax(axis=1) != labels_N).mean())


def spread(errors: list[float]) -> tuple[float, float | None]:
    """Mean, and standard deviation of a sample; None of one."""
    return float(np.mean(errors)), float(np.std(errors, ddof=1)) if len(errors) > 1 else None


def paired(wrong_SN: np.ndarray, other_SN: np.ndarray) -> dict[str, Any]:
    """How much higher the error of a system is than that of another: mean over S runs, and where it lies at 95 %.

    A paired percentile bootstrap over the N documents that all runs were scored on; how far the runs lie apart is the
    standard deviation's to say.

    Args:
        wrong_SN, other_SN: booleans, one run a row.
    """
    difference_N = (wrong_SN.astype(np.float64) - other_SN).mean(axis=0)
    random = np.random.Generator(np.random.PCG64(SEED))
    means = [difference_N[random.integers(len(difference_N), size=len(difference_N))].mean() for _ in range(RESAMPLES)]
    return {"difference": float(difference_N.mean()), "interval": interval(np.array(means))}


def machines(rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """The machines that rows were made on, each once."""
    return [json.loads(one) for one in sorted({json.dumps(row["machine"], sort_keys=True) for row in rows})]


def percent(errors: Mapping[str, Any] | None) -> str:
    """A table's cell: `mean` and `sd` of an error, which are shares, in percent."""
    if errors is None:
        return ""
    return f"{100 * errors['mean']:.1f}" + ("" if errors["sd"] is None else f" ± {100 * errors['sd']:.1f}")
