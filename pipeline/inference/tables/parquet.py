"""Parquet in, parquet with predictions out."""

import io
import shutil
import tempfile
from collections.abc import Iterator, Sequence
from typing import Any, BinaryIO

import pyarrow as pa
import pyarrow.parquet as pq

from pipeline.base.errors import UserError
from pipeline.inference.tables.base import MOST_ROWS, Block, Columns, Table, block_sizes, free_name
from pipeline.text.documents import text_of
from pipeline.text.sources.row import Row

GROUP_ROWS, GROUP_BYTES = 16_384, 100_000_000  # of a row group: what is kept until it is written


class Parquet(Table):
    """A parquet file, read in record batches."""

    binary = True

    def __init__(self, name: str, columns: Sequence[str]) -> None:
        super().__init__(name, columns)
        self.writer: pq.ParquetWriter | None = None
        self.waiting: list[pa.RecordBatch] = []

    def blocks(self, source: BinaryIO) -> Iterator[Block]:
        if not source.seekable():  # its index stands at the end, so a stream has to be kept first
            with tempfile.TemporaryFile() as kept:
                shutil.copyfileobj(source, kept)
                yield from self.blocks(kept)
            return
        try:
            file = pq.ParquetFile(source)
            self._require_columns(file.schema_arrow.names)
            size, done, sizes = source.seek(0, io.SEEK_END), 0, block_sizes()
            for batch in file.iter_batches(batch_size=MOST_ROWS):
                start = 0
                while start < batch.num_rows:
                    rows = batch.slice(start, next(sizes))
                    numbered = enumerate(rows.select(self.columns).to_pylist(), start=done + 1)
                    texts = [text_of(Row(values, self.name, "row", n), self.columns) for n, values in numbered]
                    start += rows.num_rows
                    done += rows.num_rows
                    self.bytes_read = size * done // file.metadata.num_rows
                    yield Block(rows, texts)
        except (pa.ArrowInvalid, OSError) as error:
            raise UserError(f"{self.name}: is not a parquet file, or is damaged") from error

    def write(self, sink: BinaryIO, block: Block, columns: Columns) -> None:
        # Metadata of Hugging Face lists the columns, and would not list the new ones.
        kept = {key: value for key, value in (block.rows.schema.metadata or {}).items() if key != b"huggingface"}
        rows = block.rows.replace_schema_metadata(kept)
        for name, values in columns.items():
            kind = pa.string() if name == "label" else pa.float64()
            listed = pa.list_(kind) if isinstance(values[0], list) else kind
            rows = rows.append_column(free_name(name, block.rows.schema.names), pa.array(values, listed))
        if self.writer is None:
            self.writer = pq.ParquetWriter(_Counted(sink), rows.schema, compression="zstd")
        self.waiting.append(rows)
        waiting_rows = sum(batch.num_rows for batch in self.waiting)
        if waiting_rows >= GROUP_ROWS or sum(batch.nbytes for batch in self.waiting) >= GROUP_BYTES:
            self._write_group()

    def finish(self) -> None:
        if self.writer is not None:
            self._write_group()
            self.writer.close()

    def _write_group(self) -> None:
        if self.writer is not None and self.waiting:
            self.writer.write_table(pa.Table.from_batches(self.waiting))
            self.waiting = []


class _Counted(io.RawIOBase):
    """A sink that knows how much went into it, which parquet asks for and a pipe cannot say."""

    def __init__(self, sink: BinaryIO) -> None:
        self.sink, self.position = sink, 0

    def writable(self) -> bool:
        return True

    def write(self, content: Any) -> int:
        self.sink.write(content)
        self.position += len(content)
        return len(content)

    def tell(self) -> int:
        return self.position
