"""parquet files, streamed batch by batch."""

import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO

import pyarrow
import pyarrow.parquet

from pipeline.base.errors import UserError
from pipeline.base.files import COMPRESSED
from pipeline.text.sources.files import open_binary
from pipeline.text.sources.row import Row

BATCH = 1024  # rows


def read_parquet(path: Path) -> Iterator[Row]:
    """Stream the rows of a parquet file; one inside an outer archive is unpacked into a temporary file first."""
    try:
        if path.suffix.lower() not in COMPRESSED:
            with open_binary(path) as file:
                yield from _read(file, path)
            return
        with tempfile.TemporaryFile() as unpacked, open_binary(path) as packed:
            shutil.copyfileobj(packed, unpacked)
            unpacked.seek(0)
            yield from _read(unpacked, path)
    except (pyarrow.ArrowInvalid, OSError) as error:
        raise UserError(f"{path}: is not a whole parquet file ({error}); copy or download it again") from error


def _read(file: BinaryIO, path: Path) -> Iterator[Row]:
    parquet = pyarrow.parquet.ParquetFile(file)
    if parquet.metadata.num_rows == 0:
        raise UserError(f"{path}: has columns and no rows")
    number = 0
    for batch in parquet.iter_batches(batch_size=BATCH):
        for values in batch.to_pylist():
            number += 1
            yield Row(values, str(path), "row", number)
