"""Predictions of several systems on one set of documents, as one parquet file."""

import io
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pyarrow
import pyarrow.parquet

from pipeline.base.errors import UserError
from pipeline.base.files import write_bytes

Labels = Sequence[int] | Sequence[Sequence[int]]


@dataclass(frozen=True)
class Predictions:
    """True labels of N documents, and each system's probabilities (N, C) float32 in the same order."""

    labels: Labels
    systems: dict[str, np.ndarray]


def write_predictions(path: Path | str, labels: Labels, systems: Mapping[str, np.ndarray], multilabel: bool) -> None:
    """Write one row for each system and document: system, document, label, probabilities.

    Args:
        labels: class indices, or sorted lists of them where a document may carry several.
        systems: name -> probabilities (N, C).
    """
    label = pyarrow.list_(pyarrow.int32()) if multilabel else pyarrow.int32()
    schema = pyarrow.schema(
        [
            ("system", pyarrow.string()),
            ("document", pyarrow.int32()),
            ("label", label),
            ("probabilities", pyarrow.list_(pyarrow.float32())),
        ]
    )
    buffer = io.BytesIO()
    with pyarrow.parquet.ParquetWriter(buffer, schema, compression="zstd") as file:
        for name, probabilities_NC in systems.items():
            count, classes = probabilities_NC.shape
            offsets = np.arange(0, count * classes + 1, classes, dtype=np.int32)
            flat = pyarrow.array(probabilities_NC.ravel().astype(np.float32), pyarrow.float32())
            columns = [
                pyarrow.array([name] * count, pyarrow.string()),
                pyarrow.array(np.arange(count), pyarrow.int32()),
                pyarrow.array(list(labels), label),
                pyarrow.ListArray.from_arrays(offsets, flat),
            ]
            file.write_table(pyarrow.Table.from_arrays(columns, schema=schema))
    write_bytes(path, buffer.getvalue())


def read_predictions(path: Path | str) -> Predictions:
    """Read a file of `write_predictions`; systems keep their order."""
    try:
        table = pyarrow.parquet.read_table(path)
    except FileNotFoundError as error:
        raise UserError(f"{path}: no such file; run `dvc repro`, or `dvc pull` to fetch it") from error
    except pyarrow.ArrowInvalid as error:
        raise UserError(f"{path}: is damaged ({error}); delete it and run `dvc repro` again") from error
    names = table["system"].combine_chunks()
    systems, labels = {}, []
    for name in names.unique().to_pylist():
        rows = table.filter(pyarrow.compute.equal(table["system"], name))
        flat = rows["probabilities"].combine_chunks().flatten().to_numpy()
        systems[name] = flat.reshape(len(rows), -1)
        labels = rows["label"].to_pylist()
    return Predictions(labels, systems)
