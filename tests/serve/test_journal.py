"""Rows appended to one file a day."""

from __future__ import annotations

import asyncio
import json
import os
import threading
from pathlib import Path
from typing import Any

import pytest

from potstill.errors import StorageError
from potstill.serve import journal as journal_module
from potstill.serve.journal import Journal, Scribe


def rows(folder: Path) -> list[Any]:
    return [
        json.loads(line)
        for path in sorted(folder.glob("*.jsonl"))
        for line in path.read_text().splitlines()
    ]


def test_rows_are_on_disk_when_it_returns_and_for_their_owner_alone(tmp_path: Path) -> None:
    folder = tmp_path / "deep" / "queue"
    Journal(folder).append([{"n": 1}, {"n": 2}])
    Journal(folder).append([{"n": 3}])
    (path,) = folder.iterdir()
    assert rows(folder) == [{"n": 1}, {"n": 2}, {"n": 3}]
    assert path.stat().st_mode & 0o077 == 0
    assert folder.stat().st_mode & 0o077 == 0


def test_a_last_line_that_a_crash_cut_off_is_taken_away(tmp_path: Path) -> None:
    Journal(tmp_path).append([{"n": 1}])
    (path,) = tmp_path.iterdir()
    long = b'{"n": "' + b"x" * 200_000
    path.write_bytes(path.read_bytes() + long)
    journal = Journal(tmp_path)
    assert rows(tmp_path) == [{"n": 1}]
    path.write_bytes(path.read_bytes() + long)
    journal.append([{"n": 2}])
    assert rows(tmp_path) == [{"n": 1}, {"n": 2}]


def test_a_write_that_fails_leaves_the_file_as_it_was(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    journal = Journal(tmp_path)
    journal.append([{"n": 1}])
    write = os.write
    taken: list[int] = []

    def full(handle: int, content: bytes) -> int:
        if taken:
            raise OSError(28, "No space left on device")
        taken.append(write(handle, content[:5]))
        return taken[0]

    monkeypatch.setattr(journal_module.os, "write", full)
    with pytest.raises(StorageError, match="disk is full"):
        journal.append([{"n": 2}, {"n": 3}])
    monkeypatch.undo()
    assert rows(tmp_path) == [{"n": 1}]
    journal.append([{"n": 4}])
    assert rows(tmp_path) == [{"n": 1}, {"n": 4}]


def test_many_threads_and_journals_write_whole_rows(tmp_path: Path) -> None:
    def write(name: int) -> None:
        journal = Journal(tmp_path)
        for number in range(20):
            journal.append([{"name": name, "n": number, "pad": "x" * 3000}])

    threads = [threading.Thread(target=write, args=(name,)) for name in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    found = rows(tmp_path)
    assert len(found) == 120
    for name in range(6):
        assert [row["n"] for row in found if row["name"] == name] == list(range(20))


def test_a_folder_that_cannot_be_written_is_told_at_once(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(StorageError, match=r"file/queue"):
        Journal(tmp_path / "file" / "queue")


def test_rows_that_wait_are_written_together(tmp_path: Path) -> None:
    journal = Journal(tmp_path)
    groups: list[int] = []
    append = journal.append

    def counted(rows: Any) -> None:
        groups.append(len(rows))
        append(rows)

    journal.append = counted  # type: ignore[method-assign]

    async def write() -> None:
        scribe = Scribe(journal)
        await asyncio.gather(*(scribe.write(lambda n=number: {"n": n}) for number in range(500)))
        assert len(rows(tmp_path)) == 500
        await scribe.close()

    asyncio.run(write())
    assert sum(groups) == 500
    assert len(groups) < 20


def test_whoever_waits_may_go_and_the_row_is_written_all_the_same(tmp_path: Path) -> None:
    async def write() -> None:
        scribe = Scribe(Journal(tmp_path))
        waiting = asyncio.create_task(scribe.write(lambda: {"n": 1}))
        await asyncio.sleep(0)
        waiting.cancel()
        await asyncio.gather(waiting, return_exceptions=True)
        await scribe.close()

    asyncio.run(write())
    assert rows(tmp_path) == [{"n": 1}]


def test_rows_that_cannot_be_kept_are_counted(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(journal_module, "_MOST_WAITING", 3)
    journal = Journal(tmp_path)

    def broken(_: Any) -> None:
        raise StorageError("full")

    journal.append = broken  # type: ignore[method-assign]

    async def write() -> list[Any]:
        scribe = Scribe(journal)
        told = await asyncio.gather(
            *(scribe.write(lambda n=number: {"n": n}) for number in range(5)),
            return_exceptions=True,
        )
        await scribe.close()
        assert scribe.dropped == 5
        return told

    told = asyncio.run(write())
    assert [str(error) for error in told[:3]] == ["full"] * 3
    assert "slower than the rows come" in str(told[4])
