"""The ledger: one row on disk for every attempt, so that nothing is paid for twice.

A row is written before the call begins, with the most that the call can cost, and completed
when it ends; the reply of an answered request is kept under the request's key. What is begun
and ended between two flushes is committed as one group. A commit is a write to SQLite's
write-ahead log: it outlives ``kill -9`` at any moment, and a power failure up to the last
checkpoint, without waiting for the disk at every row.
"""

from __future__ import annotations

import errno
import fcntl
import os
import sqlite3
import threading
import time
from collections import defaultdict
from collections.abc import Generator, Iterator, Mapping, Sequence
from contextlib import closing, contextmanager
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import orjson

from potstill.data.files import storage_error
from potstill.errors import StorageError
from potstill.teacher.budget import Account
from potstill.teacher.entries import Answered, Attempt, State, Totals
from potstill.teacher.request import Fault, Provider, Reply, Request, Rung

_VERSION = 1
_RESERVE_BYTES = 8 << 20
_CACHE_KIB = 32 << 10
_CHECKPOINT_PAGES = 4000
_TABLES = """
CREATE TABLE teachers (
    id INTEGER PRIMARY KEY, identity TEXT UNIQUE, name TEXT, endpoint TEXT);
CREATE TABLE attempts (
    id INTEGER PRIMARY KEY,
    key BLOB NOT NULL,
    state TEXT NOT NULL,
    teacher INTEGER NOT NULL REFERENCES teachers,
    request TEXT NOT NULL,
    purpose TEXT NOT NULL,
    number INTEGER NOT NULL,
    rung TEXT,
    began REAL NOT NULL,
    reserved_usd REAL,
    cost_usd REAL,
    prompt_tokens INTEGER,
    completion_tokens INTEGER,
    cached_tokens INTEGER,
    seconds REAL,
    fault TEXT,
    status INTEGER,
    finish_reason TEXT,
    model TEXT,
    provider_request TEXT,
    detail TEXT);
CREATE INDEX answered ON attempts (key) WHERE state = 'answered';
CREATE TABLE answers (attempt INTEGER PRIMARY KEY REFERENCES attempts, answer BLOB NOT NULL);
CREATE TABLE notes (name TEXT PRIMARY KEY, value BLOB NOT NULL);
"""
_BEGIN = """
INSERT INTO attempts
    (id, key, state, teacher, request, purpose, number, rung, began, reserved_usd)
VALUES (?, ?, 'in_flight', ?, ?, ?, ?, ?, ?, ?)"""
_END = """
UPDATE attempts SET
    state = ?, cost_usd = ?, prompt_tokens = ?, completion_tokens = ?, cached_tokens = ?,
    seconds = ?, fault = ?, status = ?, finish_reason = ?, model = ?, provider_request = ?,
    detail = ?
WHERE id = ?"""
_KEEP = "INSERT OR REPLACE INTO answers VALUES (?, ?)"
_FIND = """
SELECT attempt, answer FROM attempts JOIN answers ON attempt = id
WHERE key = ? AND state = 'answered'"""
_SUMS = """
count(DISTINCT key), count(*), sum(state = 'answered'), sum(prompt_tokens),
    sum(completion_tokens), sum(cost_usd), sum(cost_usd IS NULL), sum(seconds)"""
_TOTALS = f"SELECT {_SUMS} FROM attempts WHERE purpose = coalesce(?, purpose)"
_FAULTS = """
SELECT fault, count(*) FROM attempts
WHERE fault IS NOT NULL AND purpose = coalesce(?, purpose) GROUP BY fault ORDER BY 2 DESC"""
_BETWEEN = "FROM attempts WHERE id > ? AND id <= coalesce(?, id)"
_TOTALS_BY_PURPOSE = f"SELECT purpose, {_SUMS} {_BETWEEN} GROUP BY purpose"
_FAULTS_BY_PURPOSE = f"""
SELECT purpose, fault, count(*) {_BETWEEN} AND fault IS NOT NULL
GROUP BY purpose, fault ORDER BY 3 DESC"""


class Ledger:
    """The attempts of a run, for any number of threads; open it with `Ledger.open`."""

    def __init__(self, path: Path, connection: sqlite3.Connection, reserve: int) -> None:
        self.path = path
        self._connection = connection
        self._reserve = reserve
        last = connection.execute("SELECT coalesce(max(id), 0) FROM attempts").fetchone()
        self._last: int = last[0]
        self._begun: list[tuple[Any, ...]] = []
        self._ended: list[tuple[Any, ...]] = []
        self._answers: list[tuple[int, bytes]] = []
        self._lock = threading.RLock()
        self.account = Account(self.committed_usd())

    @classmethod
    def open(cls, path: Path) -> Ledger:
        """Open a ledger for this process alone, made when missing.

        Attempts that are still in flight were cut off by a crash: they become ``lost``.

        Raises:
            StorageError: another process has it open, the disk is full or read-only, or the
                file is no ledger of this version.
        """
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            reserve = _take_reserve(path)
        except OSError as error:
            raise storage_error(error, path) from error
        try:
            with _storage(path):
                connection = sqlite3.connect(path, isolation_level=None, check_same_thread=False)
                _prepare(connection, path)
                return cls(path, connection, reserve)
        except BaseException:
            os.close(reserve)
            raise

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def close(self) -> None:
        """Commit what is left and let the file go."""
        try:
            self.flush()
        finally:
            self._connection.close()
            os.ftruncate(self._reserve, 0)
            os.close(self._reserve)

    def teacher(self, provider: Provider) -> int:
        """The number of a teacher in this ledger, for `begin`."""
        with self._lock, _storage(self.path):
            self._connection.execute(
                "INSERT OR IGNORE INTO teachers (identity, name, endpoint) VALUES (?, ?, ?)",
                (provider.identity, provider.name, provider.endpoint),
            )
            found = self._connection.execute(
                "SELECT id FROM teachers WHERE identity = ?", (provider.identity,)
            )
            return found.fetchone()[0]

    def begin(
        self,
        request: Request,
        key: str,
        *,
        teacher: int,
        number: int,
        rung: Rung | None,
        reserved_usd: float | None,
    ) -> int:
        """Note that an attempt begins; `flush` before the call is made.

        Args:
            request: what is asked.
            key: its cache key.
            teacher: who is asked, from `teacher`.
            number: which attempt at this request it is, from 1.
            rung: how a structured answer is asked for.
            reserved_usd: the most that it can cost; None is unknown.

        Returns:
            The id of its row.
        """
        told = (teacher, request.id, request.purpose, number, rung, time.time(), reserved_usd)
        with self._lock:
            self._last += 1
            self._begun.append((self._last, bytes.fromhex(key), *told))
            return self._last

    def end(
        self,
        attempt: int,
        state: State,
        *,
        reply: Reply | None = None,
        fault: Fault | None = None,
        detail: str | None = None,
        status: int | None = None,
        cost_usd: float | None = None,
        seconds: float | None = None,
    ) -> None:
        """Note how an attempt ended; it is on disk after the next `flush`.

        Args:
            attempt: the id that `begin` gave.
            state: how it ended.
            reply: what came back.
            fault: what was wrong.
            detail: a sentence for a person, without secrets.
            status: HTTP status of an error.
            cost_usd: what it cost; None is unknown.
            seconds: how long it took.
        """
        told = (
            (None, None, None, None, None, None)
            if reply is None
            else (
                reply.prompt_tokens,
                reply.completion_tokens,
                reply.cached_tokens,
                reply.finish_reason,
                reply.model,
                reply.request,
            )
        )
        ended = (state, cost_usd, *told[:3], seconds, fault, status, *told[3:], detail, attempt)
        with self._lock:
            self._ended.append(ended)

    def keep(self, answered: Answered) -> None:
        """Keep the answer of an attempt that ended ``answered``, for `reply` to find."""
        kept = {
            "reply": answered.reply,
            "rung": answered.rung,
            "cost_usd": answered.cost_usd,
            "seconds": answered.seconds,
        }
        if answered.value is not answered.reply.text:
            kept["value"] = answered.value
        with self._lock:
            self._answers.append((answered.attempt, orjson.dumps(kept)))

    def flush(self) -> None:
        """Commit what was begun and ended since the last flush, as one group.

        Raises:
            StorageError: the disk is full. Nothing is lost by it: what could not be written
                is held, a reserve of disk space is let go, and the next flush writes it.
        """
        with self._lock:
            if not (self._begun or self._ended):
                return
            try:
                with _storage(self.path), self._transaction() as execute:
                    execute(_BEGIN, self._begun)
                    execute(_END, self._ended)
                    execute(_KEEP, self._answers)
            except StorageError:
                os.ftruncate(self._reserve, 0)
                raise
            self._begun.clear()
            self._ended.clear()
            self._answers.clear()

    def reply(self, key: str) -> Answered | None:
        """The answer that was kept under a key; None where there is none."""
        with self._lock, _storage(self.path):
            found = self._connection.execute(_FIND, (bytes.fromhex(key),)).fetchone()
        if found is None:
            return None
        kept = orjson.loads(found[1])
        logprobs = kept["reply"].pop("logprobs")
        reply = Reply(**kept["reply"], logprobs=None if logprobs is None else tuple(logprobs))
        return Answered(
            attempt=found[0],
            reply=reply,
            value=kept.get("value", reply.text),
            rung=kept["rung"],
            cost_usd=kept["cost_usd"],
            seconds=kept["seconds"],
        )

    def note(self, name: str, value: Any) -> None:
        """Remember a JSON value under a name, at once (a batch that was handed in)."""
        with self._lock, _storage(self.path):
            self._connection.execute(
                "INSERT OR REPLACE INTO notes VALUES (?, ?)", (name, orjson.dumps(value))
            )

    def noted(self, name: str) -> Any:
        """What was remembered under a name; None where nothing was."""
        with self._lock, _storage(self.path):
            found = self._connection.execute("SELECT value FROM notes WHERE name = ?", (name,))
            row = found.fetchone()
        return None if row is None else orjson.loads(row[0])

    def committed_usd(self, *, since: float = 0.0) -> float:
        """Money that this ledger must count as gone: an unknown price at its upper bound.

        Args:
            since: for attempts that began at this Unix time or later, in seconds.
        """
        with self._reading() as connection:
            total = "SELECT total(coalesce(cost_usd, reserved_usd)) FROM attempts WHERE began >= ?"
            return connection.execute(total, (since,)).fetchone()[0]

    def totals(self, purpose: str | None = None) -> Totals:
        """Sums over the attempts that are on disk.

        Args:
            purpose: of this stage alone; None is all.
        """
        with self._reading() as connection:
            sums = connection.execute(_TOTALS, (purpose,)).fetchone()
            faults = dict(connection.execute(_FAULTS, (purpose,)).fetchall())
        return _totals(sums, faults)

    def totals_by_purpose(
        self, *, after: int = 0, up_to: int | None = None
    ) -> Mapping[str, Totals]:
        """Sums over the attempts that are on disk, for each stage that asked.

        Args:
            after: of attempts with a greater id alone.
            up_to: and with this id at most; None is all.
        """
        faults: defaultdict[str, dict[str, int]] = defaultdict(dict)
        with self._reading() as connection:
            sums = connection.execute(_TOTALS_BY_PURPOSE, (after, up_to)).fetchall()
            for purpose, fault, count in connection.execute(_FAULTS_BY_PURPOSE, (after, up_to)):
                faults[purpose][fault] = count
        return {purpose: _totals(row, faults[purpose]) for purpose, *row in sums}

    @property
    def last_attempt(self) -> int:
        """Id of the attempt that was begun last; 0 where there is none."""
        return self._last

    def rows(self) -> Iterator[Attempt]:
        """The attempts that are on disk, oldest first."""
        columns = ", ".join(f"attempts.{name}" for name in Attempt.__slots__ if name not in _JOINED)
        with self._reading() as connection:
            connection.row_factory = sqlite3.Row
            found = connection.execute(
                f"SELECT {columns}, teachers.name AS teacher, endpoint FROM attempts "
                "JOIN teachers ON teachers.id = attempts.teacher ORDER BY attempts.id"
            )
            for row in found:
                values = dict(row)
                yield Attempt(**(values | {"key": values["key"].hex()}))

    @contextmanager
    def _reading(self) -> Generator[sqlite3.Connection]:
        """A connection of its own, so that a long look at the past holds nobody up."""
        address = f"{self.path.absolute().as_uri()}?mode=ro"
        with (
            _storage(self.path),
            closing(sqlite3.connect(address, uri=True)) as connection,
        ):
            yield connection

    @contextmanager
    def _transaction(self) -> Generator[Any]:
        self._connection.execute("BEGIN IMMEDIATE")
        try:
            yield self._connection.executemany
            self._connection.execute("COMMIT")
        except BaseException:
            if self._connection.in_transaction:
                self._connection.execute("ROLLBACK")
            raise


_JOINED = ("teacher", "endpoint")


def _totals(sums: Sequence[Any], by_fault: Mapping[str, int]) -> Totals:
    """The columns of `_SUMS`, which are empty where there is no row."""
    asked, attempts, answered, sent, received, known, unknown, seconds = (
        value or 0 for value in sums
    )
    return Totals(
        requests=asked,
        answered=answered,
        attempts=attempts,
        prompt_tokens=sent,
        completion_tokens=received,
        known_usd=float(known),
        unknown=unknown,
        by_fault=by_fault,
        seconds=float(seconds),
    )


def _take_reserve(path: Path) -> int:
    """The lock of a ledger, in a file that holds some disk space back for its last words."""
    name = path.with_name(f"{path.name}.reserve")
    reserve = os.open(name, os.O_RDWR | os.O_CREAT, 0o600)
    try:
        fcntl.flock(reserve, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError as error:
        os.close(reserve)
        raise StorageError(
            "another process has this ledger open.",
            where=str(path),
            hint="Wait for it, or stop it.",
        ) from error
    try:
        if os.pwrite(reserve, bytes(_RESERVE_BYTES), 0) < _RESERVE_BYTES:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
    except OSError:
        os.ftruncate(reserve, 0)
        os.close(reserve)
        raise
    return reserve


def _prepare(connection: sqlite3.Connection, path: Path) -> None:
    connection.executescript(
        f"PRAGMA journal_mode = WAL; PRAGMA synchronous = NORMAL;"
        f"PRAGMA cache_size = -{_CACHE_KIB}; PRAGMA wal_autocheckpoint = {_CHECKPOINT_PAGES};"
    )
    version = connection.execute("PRAGMA user_version").fetchone()[0]
    if version == 0 and not connection.execute("SELECT 1 FROM sqlite_master").fetchone():
        connection.executescript(f"BEGIN;{_TABLES}PRAGMA user_version = {_VERSION};COMMIT;")
    elif version != _VERSION:
        raise StorageError(
            f"this is no ledger of version {_VERSION}.",
            where=str(path),
            hint="Move it away to begin a new one; what it holds would be paid for again.",
        )
    connection.execute("UPDATE attempts SET state = 'lost' WHERE state = 'in_flight'")


@contextmanager
def _storage(path: Path) -> Generator[None]:
    """SQLite's errors as ours."""
    try:
        yield
    except sqlite3.Error as error:
        name = getattr(error, "sqlite_errorname", "")
        if name in ("SQLITE_FULL", "SQLITE_IOERR_WRITE"):
            full = OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
            raise storage_error(full, path) from error
        if name == "SQLITE_NOTADB" or name.startswith("SQLITE_CORRUPT"):
            raise StorageError(
                "this file is no ledger, or it is damaged.",
                where=str(path),
                hint="Put back a copy, or move it away to begin a new one.",
            ) from error
        if name.startswith(("SQLITE_READONLY", "SQLITE_CANTOPEN", "SQLITE_PERM")):
            refused = OSError(errno.EACCES, os.strerror(errno.EACCES))
            raise storage_error(refused, path) from error
        raise StorageError(f"the ledger cannot be used: {error}.", where=str(path)) from error
