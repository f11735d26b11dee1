"""Files on disk: whole or not at all.

Every file that a run leaves behind is written beside its final place, flushed, and renamed,
so that a process killed at any moment leaves either the old file or the new one.
"""

from __future__ import annotations

import errno
import hashlib
import os
import shutil
import tempfile
from collections.abc import Generator, Iterable, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any, BinaryIO

import orjson

from potstill.errors import StorageError

_CHUNK_BYTES = 1 << 20
_PARTIAL, _OLD = ".partial", ".old"


@contextmanager
def writing(path: Path) -> Generator[BinaryIO]:
    """A binary file that appears at `path` only when the block ends without an error.

    Raises:
        StorageError: the disk is full, or the folder may not be written.
    """
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        handle, partial = tempfile.mkstemp(
            dir=path.parent, prefix=f".{path.name}.", suffix=_PARTIAL
        )
    except OSError as error:
        raise storage_error(error, path) from error
    try:
        with os.fdopen(handle, "wb") as stream:
            yield stream
            stream.flush()
            os.fsync(stream.fileno())
        # mkstemp files are private to their owner; a result is as readable as any new file.
        umask = os.umask(0)
        os.umask(umask)
        Path(partial).chmod(0o666 & ~umask)
        Path(partial).replace(path)
    except OSError as error:
        Path(partial).unlink(missing_ok=True)
        raise storage_error(error, path) from error
    except BaseException:
        Path(partial).unlink(missing_ok=True)
        raise


@contextmanager
def writing_folder(folder: Path) -> Generator[Path]:
    """A folder that appears at `folder`, replacing what was there, only when the block ends.

    Raises:
        StorageError: the disk is full, or the parent may not be written.
    """
    try:
        folder.parent.mkdir(parents=True, exist_ok=True)
        partial = Path(
            tempfile.mkdtemp(dir=folder.parent, prefix=f".{folder.name}.", suffix=_PARTIAL)
        )
    except OSError as error:
        raise storage_error(error, folder) from error
    old = partial.with_name(f"{partial.name}{_OLD}")
    try:
        partial.chmod(0o755)
        yield partial
        if folder.exists():
            folder.rename(old)
        partial.rename(folder)
    except OSError as error:
        if old.exists() and not folder.exists():
            old.rename(folder)
        raise storage_error(error, folder) from error
    finally:
        shutil.rmtree(partial, ignore_errors=True)
        shutil.rmtree(old, ignore_errors=True)


def clear_partials(folder: Path) -> None:
    """Remove what a killed process was writing in a folder that nobody writes in now."""
    for path in (*folder.rglob(f".*{_PARTIAL}"), *folder.rglob(f".*{_PARTIAL}{_OLD}")):
        if path.is_dir():
            shutil.rmtree(path, ignore_errors=True)
        else:
            path.unlink(missing_ok=True)


def storage_error(error: OSError, path: Path | None) -> StorageError:
    """An operating system's error as a sentence with a remedy."""
    where = None if path is None else str(path)
    if error.errno in (errno.ENOSPC, errno.EDQUOT, errno.EFBIG):
        return StorageError(
            "the disk is full, or a quota is reached.",
            where=where,
            hint="Free some space and run the same command again; finished work is kept.",
        )
    if error.errno in (errno.EACCES, errno.EPERM, errno.EROFS):
        return StorageError(
            "this place may not be written.",
            where=where,
            hint="Choose another folder, or change its permissions.",
        )
    return StorageError(f"{error.strerror or error}.", where=where)


def write_json(path: Path, value: Any) -> None:
    """One JSON document, indented, keys in their given order."""
    with writing(path) as stream:
        stream.write(orjson.dumps(value, option=orjson.OPT_INDENT_2 | _JSON_OPTIONS))
        stream.write(b"\n")


def write_jsonl(path: Path, rows: Iterable[Mapping[str, Any]]) -> int:
    """One JSON object a line; returns the number of lines."""
    count = 0
    with writing(path) as stream:
        for row in rows:
            stream.write(json_line(row))
            count += 1
    return count


def json_line(row: Mapping[str, Any]) -> bytes:
    """One row as a line of JSON, with its newline."""
    return orjson.dumps(row, option=orjson.OPT_APPEND_NEWLINE | _JSON_OPTIONS)


def cache_folder() -> Path:
    """This user's cache for weights that packages bring in pieces: ``$POTSTILL_CACHE``."""
    chosen = os.environ.get("POTSTILL_CACHE")
    return Path(chosen).expanduser() if chosen else Path.home() / ".cache" / "potstill"


def sha256_of(path: Path) -> str:
    """SHA-256 of a file's bytes, as hexadecimal digits."""
    digest = hashlib.sha256()
    with path.open("rb") as stream:
        while chunk := stream.read(_CHUNK_BYTES):
            digest.update(chunk)
    return digest.hexdigest()


_JSON_OPTIONS = orjson.OPT_SERIALIZE_NUMPY | orjson.OPT_NON_STR_KEYS
