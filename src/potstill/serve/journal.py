"""Rows that are appended to one JSONL file a day, whole or not at all, and are on disk at once.

Several processes may write into one folder. The files hold texts: only their owner may read them.
"""

from __future__ import annotations

import asyncio
import fcntl
import os
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from potstill.data.files import json_line, storage_error
from potstill.errors import StorageError

Make = Callable[[], Mapping[str, Any]]
"""Makes a row."""

_MOST_WAITING = 5_000
_TAIL_BYTES = 1 << 16


class Journal:
    """A folder with a file for each day (UTC); safe to share between threads.

    Args:
        folder: made when there is none.

    Raises:
        StorageError: the folder may not be written.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        try:
            folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        except OSError as error:
            raise storage_error(error, folder) from error
        if not os.access(folder, os.W_OK | os.X_OK):
            raise StorageError(
                "this place may not be written.",
                where=str(folder),
                hint="Choose another folder, or change its permissions.",
            )
        for path in sorted(folder.glob("*.jsonl"))[-1:]:
            self._write(path, b"")  # what a crash cut off goes now, before anybody reads it

    def append(self, rows: Sequence[Mapping[str, Any]]) -> None:
        """Write some rows at the end of today's file, and wait until the disk has them.

        Raises:
            StorageError: it cannot be written; then none of the rows is in it.
        """
        path = self.folder / f"{datetime.now(UTC):%Y-%m-%d}.jsonl"
        self._write(path, b"".join(map(json_line, rows)))

    def _write(self, path: Path, content: bytes) -> None:
        try:
            handle = os.open(path, os.O_RDWR | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o600)
            try:
                fcntl.flock(handle, fcntl.LOCK_EX)
                _append(handle, content)
            finally:
                os.close(handle)
        except OSError as error:
            raise storage_error(error, path) from error


class Scribe:
    """A journal for an event loop: rows that wait are written together, in a thread.

    Args:
        journal: where they go.
    """

    def __init__(self, journal: Journal) -> None:
        self.folder = journal.folder
        self.dropped = 0
        """Rows that were not kept, since too many waited or the disk was full."""
        self._journal = journal
        self._waiting: list[tuple[Make, asyncio.Future[None]]] = []
        self._writing: asyncio.Task[None] | None = None

    async def write(self, make: Make) -> None:
        """Keep a row; returns when it is on disk.

        Args:
            make: makes the row, in the thread that writes: blanking a long text takes a while.

        Raises:
            StorageError: it cannot be kept.
        """
        if len(self._waiting) >= _MOST_WAITING:
            self.dropped += 1
            raise StorageError("the disk is slower than the rows come.", where=str(self.folder))
        written = asyncio.get_running_loop().create_future()
        self._waiting.append((make, written))
        if self._writing is None:
            self._writing = asyncio.create_task(self._write_all())
        # Shielded: whoever waits may go, the row is written all the same.
        await asyncio.shield(written)

    async def close(self) -> None:
        """Wait until everything is on disk."""
        if self._writing is not None:
            await self._writing

    async def _write_all(self) -> None:
        try:
            while self._waiting:
                group, self._waiting = self._waiting, []
                error: Exception | None = None
                try:
                    await asyncio.to_thread(self._append, [make for make, _ in group])
                except Exception as trouble:  # whatever it is, nobody may be left waiting
                    self.dropped += len(group)
                    error = trouble
                _tell([written for _, written in group], error)
        finally:
            self._writing = None

    def _append(self, makes: Sequence[Make]) -> None:
        self._journal.append([make() for make in makes])


def _tell(group: Sequence[asyncio.Future[None]], error: Exception | None) -> None:
    for written in group:
        if error is None:
            written.set_result(None)
        else:
            written.set_exception(error)
            written.exception()  # whoever asked may be gone: then nobody else looks at it


def _append(handle: int, content: bytes) -> None:
    """Write at the end of a file, after what is whole there, or leave the file as it was."""
    end = _whole_bytes(handle)
    os.ftruncate(handle, end)
    try:
        place = 0
        while place < len(content):
            place += os.write(handle, content[place:])
        os.fsync(handle)
    except OSError:
        os.ftruncate(handle, end)
        raise


def _whole_bytes(handle: int) -> int:
    """The length of a file without a last line that a crash cut off."""
    end = os.fstat(handle).st_size
    while end:
        start = max(0, end - _TAIL_BYTES)
        newline = os.pread(handle, end - start, start).rfind(b"\n")
        if newline >= 0:
            return start + newline + 1
        end = start
    return 0
