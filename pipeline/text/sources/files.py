"""The files of a data set: names to paths, decompression while reading, text that is UTF-8 or says where it is not."""

import bz2
import codecs
import gzip
import io
import lzma
import os
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, BinaryIO, TextIO

from pipeline.base.errors import UserError, suggest
from pipeline.base.files import sha256

ELSEWHERE = "$DATASETS_DIR/"  # files outside the repository
BLOCK = 1 << 20  # bytes read at a time


def resolve(patterns: str | tuple[str, ...], folder: Path, checksums: dict[str, str] | None) -> list[Path]:
    """The files or folders that `data_files` names, in the order given (a glob's own matches sorted).

    Names are relative to `folder` (data/raw/NAME); those under `$DATASETS_DIR/` must have their sha256 in
    `checksums` and match it, because DVC cannot see them.
    """
    paths: list[Path] = []
    for pattern in (patterns,) if isinstance(patterns, str) else patterns:
        if pattern.startswith(ELSEWHERE):
            paths.append(_elsewhere(pattern, checksums or {}))
        else:
            paths.extend(_inside(pattern, folder))
    return paths


def named(patterns: str | tuple[str, ...], folder: Path) -> list[Path]:
    """The same files by their names alone: none under `$DATASETS_DIR/` is looked for or read."""
    given = (patterns,) if isinstance(patterns, str) else patterns
    return [path for one in given for path in ([Path(one)] if one.startswith(ELSEWHERE) else _inside(one, folder))]


def open_binary(path: Path) -> BinaryIO:
    """Open a file for reading its content: compressed ones (by suffix) are decompressed as they are read.

    An archive that is damaged is a `UserError` where it is read.
    """
    try:
        match path.suffix.lower():
            case ".gz":
                return _unpacked(gzip.open(path, "rb"), path)
            case ".xz":
                return _unpacked(lzma.open(path, "rb"), path)
            case ".bz2":
                return _unpacked(bz2.open(path, "rb"), path)
            case ".zst":
                import pyarrow  # slow to import, and no other archive needs it

                return _unpacked(pyarrow.CompressedInputStream(pyarrow.OSFile(str(path)), "zstd"), path)
        return path.open("rb")
    except OSError as error:
        raise UserError(f"{path}: cannot be read ({error.strerror or error}); check the file's permissions") from error


@contextmanager
def open_text(path: Path) -> Iterator[TextIO]:
    """Open a file as UTF-8 text with its line ends as they are; a byte-order mark is skipped.

    Bytes that are not UTF-8 and damaged archives are a `UserError` with the place.
    """
    with open_binary(path) as source:
        yield checked_text(source, str(path))


def checked_text(source: BinaryIO, name: str) -> TextIO:
    """The UTF-8 text of a stream of bytes, as `open_text` gives that of a file; `name` is for messages."""
    return io.TextIOWrapper(io.BufferedReader(_CheckedUtf8(source, name), BLOCK), encoding="utf-8-sig", newline="")


def _unpacked(opened: Any, path: Path) -> BinaryIO:
    return io.BufferedReader(_Unpacked(opened, path), BLOCK)


class _Unpacked(io.RawIOBase):
    """Passes the content of an archive through, and says so where it ends too early."""

    def __init__(self, opened: Any, path: Path) -> None:
        self.opened, self.path = opened, path

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: memoryview) -> int:  # type: ignore[override]
        try:
            block = self.opened.read(len(buffer))
        except (EOFError, OSError, lzma.LZMAError, zlib.error) as error:
            raise UserError(f"{self.path}: cannot be read to its end ({error}); copy or download it again") from error
        buffer[: len(block)] = block
        return len(block)

    def close(self) -> None:
        self.opened.close()
        super().close()


class _CheckedUtf8(io.RawIOBase):
    """Passes bytes through and refuses the first that is not UTF-8, with its offset in the (decompressed) file."""

    def __init__(self, source: BinaryIO, name: str) -> None:
        self.source, self.name = source, name
        self.decoder = codecs.getincrementaldecoder("utf-8")()
        self.offset = 0  # of the first byte that the decoder has not yet turned into text

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: memoryview) -> int:  # type: ignore[override]
        block = self.source.read(min(len(buffer), BLOCK))
        pending = len(self.decoder.getstate()[0])
        try:
            self.decoder.decode(block, final=not block)
        except UnicodeDecodeError as error:
            place = self.offset - pending + error.start
            marked = place == 0 and block.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE))
            likely = "utf-16" if marked else "latin1"
            raise UserError(
                f"{self.name}: is not UTF-8 at byte {place} (counted from 0); save it as UTF-8, for instance "
                f"`iconv -f {likely} -t utf-8`"
            ) from error
        self.offset += len(block)
        buffer[: len(block)] = block
        return len(block)


def _elsewhere(pattern: str, checksums: dict[str, str]) -> Path:
    root = os.environ.get("DATASETS_DIR")
    if not root:
        raise UserError(f"{pattern}: the variable DATASETS_DIR is not set; export DATASETS_DIR=FOLDER that holds it")
    path = Path(root) / pattern.removeprefix(ELSEWHERE)
    if not path.is_file():
        raise UserError(f"{pattern}: no such file in DATASETS_DIR={root}; check the folder and the name")
    if pattern not in checksums:
        raise UserError(
            f"{pattern}: has no checksum; add `sha256: {{{pattern}: {sha256(path)}}}` to the data set's config"
        )
    if sha256(path) != checksums[pattern]:
        raise UserError(f"{pattern}: its sha256 differs from the config's; get the file again or change `sha256:`")
    return path


def _inside(pattern: str, folder: Path) -> list[Path]:
    if not folder.is_dir():
        raise UserError(f"{folder}: no such folder; put the data set's files there (or run `ulmfit new-task FILE`)")
    if (folder / pattern).exists():
        return [folder / pattern]
    try:
        paths = sorted(path for path in folder.glob(pattern) if not path.name.startswith("."))
    except (ValueError, NotImplementedError) as error:  # `**.txt`, before Python 3.13
        raise UserError(
            f"{folder / pattern}: is no pattern of file names ({error}); write `*.txt`, or `**/*.txt` for all folders"
        ) from error
    if not paths:
        known = (str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file())
        raise UserError(f"{folder / pattern}: no such file; {suggest(pattern, known)}")
    return paths
