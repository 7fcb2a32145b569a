"""Files that are either whole or absent: atomic writes, sorted JSON, checksums, folders put in place at once."""

import errno
import hashlib
import json
import os
import shutil
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, BinaryIO

from pipeline.base.errors import UserError

COMPRESSED = (".gz", ".xz", ".zst", ".bz2")  # endings of the archives that are unpacked where a file is read
FULL = (errno.ENOSPC, errno.EDQUOT)  # what writing to a full disk, or beyond one's share of it, ends with


def endings(name: str) -> tuple[str, str]:
    """The end of a file's name that tells its format and that of its compression, in lower case; "" where it has none.

    >>> endings("tickets.2024.CSV.gz"), endings("notes")
    (('.csv', '.gz'), ('', ''))
    """
    before, last = ["", "", *(suffix.lower() for suffix in Path(name).suffixes)][-2:]
    return (before, last) if last in COMPRESSED else (last, "")


@contextmanager
def disk_errors(path: Path) -> Iterator[None]:
    """Turn a full disk or a missing permission while writing `path` into one clear line."""
    try:
        yield
    except OSError as error:
        if error.errno in FULL:
            raise UserError(f"{path}: the disk is full; free some space and run again, nothing was lost") from error
        if error.errno in (errno.EACCES, errno.EROFS):
            raise UserError(f"{path}: cannot be written ({error.strerror}); check the folder's permissions") from error
        raise


@contextmanager
def open_errors(path: Path) -> Iterator[None]:
    """Turn a place where no file can be, while `path` is opened for writing, into one clear line.

    For the opening alone: what is written then may be read from other files, whose errors are not of this place.
    """
    try:
        yield
    except OSError as error:
        if isinstance(error, FileExistsError | NotADirectoryError):
            raise UserError(f"{path}: a file stands where its folder would be; name another place") from error
        if error.errno in (errno.ENOENT, errno.ENAMETOOLONG, errno.EINVAL, errno.ENXIO, errno.ELOOP):
            raise UserError(f"{path}: cannot be written ({error.strerror}); name another place") from error
        raise


@contextmanager
def whole_file(path: Path | str) -> Iterator[BinaryIO]:
    """Write a file bit by bit so that a reader sees the old content or the new, never a part (POSIX rename)."""
    path = Path(path)
    with disk_errors(path):
        partial = path.with_name(f".{path.name}.{os.getpid()}.partial")
        with open_errors(path):
            if path.is_dir():
                raise UserError(f"{path}: is a folder; name a file that is to be written")
            path.parent.mkdir(parents=True, exist_ok=True)
            opened = partial.open("wb")
        try:
            with opened as file:
                yield file
                file.flush()
                os.fsync(file.fileno())
            partial.replace(path)
        finally:
            partial.unlink(missing_ok=True)


def write_bytes(path: Path | str, content: bytes) -> None:
    """Write a file at once, atomically."""
    with whole_file(path) as file:
        file.write(content)


def write_text(path: Path | str, text: str) -> None:
    """Write UTF-8 text atomically."""
    write_bytes(path, text.encode("utf-8"))


def write_json(path: Path | str, value: Any) -> None:
    """Write JSON whose bytes depend on the value alone: sorted keys, two spaces, one final newline."""
    write_text(path, json.dumps(value, sort_keys=True, indent=2, ensure_ascii=False, allow_nan=False) + "\n")


def read_json(path: Path | str) -> Any:
    """Read a JSON file; a missing or damaged one is a `UserError` that names it."""
    path = Path(path)
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except (FileNotFoundError, NotADirectoryError) as error:
        raise UserError(f"{path}: no such file; run the stage that makes it (`dvc repro`)") from error
    except (json.JSONDecodeError, UnicodeDecodeError) as error:
        raise UserError(f"{path}: is damaged ({error}); delete it and run `dvc repro` again") from error


def read_config(path: Path, kind: str) -> dict[str, Any]:
    """The config.json beside what a stage has made, which must say that it is of this `kind`."""
    config = read_json(path)
    found = config.get("kind", "unknown") if isinstance(config, dict) else "unknown"
    if found != kind:
        raise UserError(f"{path}: is of kind {found}, but a {kind} is needed here; choose another folder")
    return dict(config)


def sha256(path: Path | str) -> str:
    """Hex digest of a file's bytes, read in blocks."""
    with Path(path).open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def digest(parts: Iterable[str]) -> str:
    """Hex digest of a sequence of strings, each closed off so that ("ab", "c") and ("a", "bc") differ."""
    whole = hashlib.sha256()
    for part in parts:
        encoded = part.encode("utf-8")
        whole.update(len(encoded).to_bytes(8, "little") + encoded)
    return whole.hexdigest()


@contextmanager
def whole_folder(path: Path | str) -> Iterator[Path]:
    """Fill a folder elsewhere and put it in place at the end, so that `path` is never half written.

    Yields an empty folder beside `path`; on success it replaces `path`, on failure it is removed.
    """
    path = Path(path)
    with disk_errors(path):
        partial = path.with_name(f".{path.name}.partial")
        with open_errors(path):
            path.parent.mkdir(parents=True, exist_ok=True)
            shutil.rmtree(partial, ignore_errors=True)
            partial.mkdir()
        try:
            yield partial
            shutil.rmtree(path, ignore_errors=True)
            partial.replace(path)
        finally:
            shutil.rmtree(partial, ignore_errors=True)
