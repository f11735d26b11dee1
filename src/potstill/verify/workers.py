"""Processes that do work which may hang or eat memory, each killed when its time is up.

A worker is another Python that reads one request a line and writes one reply a line. It is
started when it is first needed and kept, so that a cheap request costs a write and a read. It
inherits nothing of this process: no weights, no locks, no open file. It works from any thread,
where a limit by signals does not.
"""

from __future__ import annotations

import atexit
import json
import os
import queue
import select
import subprocess
import sys
import threading
import time
from functools import cache
from typing import Any

START_S = 60.0
"""Seconds that a worker may take to import its libraries; not counted as work."""
MEMORY_BYTES = 4 << 30
"""Address space of a worker."""


class WorkerFault(Exception):
    """Work that was not finished.

    Attributes:
        name: ``timeout``, ``crashed``, or the name of the exception that was raised.
    """

    def __init__(self, name: str, detail: str = "") -> None:
        super().__init__(detail or name)
        self.name = name


class Workers:
    """A few worker processes, for calls from any number of threads.

    Args:
        count: processes at most; they start when they are needed.
    """

    def __init__(self, count: int = 2) -> None:
        self.count = count
        self._lock = threading.Lock()
        self._idle: queue.LifoQueue[_Worker] = queue.LifoQueue()
        self._alive = 0
        self._owner = os.getpid()

    def ask(self, kind: str, request: dict[str, Any], timeout_s: float) -> Any:
        """Have one request done.

        Args:
            kind: a name in `potstill.verify.work`.
            request: what it is called with; JSON.
            timeout_s: seconds from when a worker is ready.

        Returns:
            What the work returned.

        Raises:
            WorkerFault: the time was up, the worker died, or the work raised.
        """
        worker = self._take()
        try:
            reply = worker.ask(kind, request, timeout_s)
        except BaseException:
            worker.stop()
            with self._lock:
                self._alive -= 1
            # Whoever waits for a worker must be let through to start another one.
            self._idle.put(_NONE)
            raise
        self._idle.put(worker)
        if "fault" in reply:
            raise WorkerFault(reply["fault"], reply.get("detail", ""))
        return reply["value"]

    def close(self) -> None:
        """Stop the workers that are idle; the next request starts new ones."""
        while True:
            try:
                worker = self._idle.get_nowait()
            except queue.Empty:
                return
            if worker is not _NONE:
                worker.stop()
                with self._lock:
                    self._alive -= 1

    def _take(self) -> _Worker:
        while True:
            with self._lock:
                if os.getpid() != self._owner:  # a fork shares the pipes: leave them to the parent
                    self._idle, self._alive, self._owner = queue.LifoQueue(), 0, os.getpid()
                start = self._idle.empty() and self._alive < self.count
                self._alive += start
            if start:
                try:
                    return _Worker()
                except BaseException:
                    with self._lock:
                        self._alive -= 1
                    raise
            worker = self._idle.get()
            if worker is not _NONE:
                return worker


class _Worker:
    """One process, spoken to by one thread at a time."""

    def __init__(self, *, start: bool = True) -> None:
        self._process: subprocess.Popen[bytes] | None = None
        self._rest = b""
        if not start:
            return
        self._process = subprocess.Popen(
            [sys.executable, "-m", "potstill.verify.work", str(MEMORY_BYTES)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            env=_environment(),
            start_new_session=True,
        )
        try:
            self._read(time.monotonic() + START_S)
        except BaseException:
            self.stop()
            raise

    def ask(self, kind: str, request: dict[str, Any], timeout_s: float) -> dict[str, Any]:
        process = self._process
        assert process is not None and process.stdin is not None
        line = json.dumps({"kind": kind, **request}) + "\n"
        try:
            process.stdin.write(line.encode())
            process.stdin.flush()
        except OSError as error:
            raise WorkerFault("crashed", str(error)) from error
        return json.loads(self._read(time.monotonic() + timeout_s))

    def _read(self, deadline: float) -> bytes:
        process = self._process
        assert process is not None and process.stdout is not None
        while b"\n" not in self._rest:
            left = deadline - time.monotonic()
            if left <= 0 or not select.select([process.stdout], [], [], left)[0]:
                raise WorkerFault("timeout")
            piece = os.read(process.stdout.fileno(), 65_536)
            if not piece:
                raise WorkerFault("crashed")
            self._rest += piece
        line, _, self._rest = self._rest.partition(b"\n")
        return line

    def stop(self) -> None:
        process = self._process
        if process is None:
            return
        process.kill()
        process.wait()
        for pipe in (process.stdin, process.stdout):
            if pipe is not None:
                try:
                    pipe.close()
                except OSError:  # what was not written yet has nobody to read it
                    continue


_NONE = _Worker(start=False)


def _environment() -> dict[str, str]:
    """The path to our own modules and nothing else: a worker needs no secret."""
    path = os.pathsep.join(entry for entry in sys.path if entry)
    kept = {
        key: os.environ[key]
        for key in ("PATH", "LD_LIBRARY_PATH", "SYSTEMROOT")
        if key in os.environ
    }
    return {**kept, "PYTHONPATH": path, "OMP_NUM_THREADS": "1", "PYTHONHASHSEED": "0"}


@cache
def shared_workers() -> Workers:
    """The workers of this process, which every verifier shares unless it is given its own."""
    workers = Workers(max(1, min(4, (os.cpu_count() or 2) // 2)))
    atexit.register(workers.close)
    return workers
