"""Map a function over an endless iterable on several threads: in order, in bounded memory."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Executor, Future
from itertools import islice
from typing import TypeVar

_In = TypeVar("_In")
_Out = TypeVar("_Out")

CHUNK = 16
"""Items a task: enough to make its hand-over (some 50 µs) small beside 16 runs of 1 ms."""


def map_in_order(
    function: Callable[[_In], _Out],
    items: Iterable[_In],
    *,
    pool: Executor,
    workers: int,
    chunk: int = CHUNK,
) -> Iterator[_Out]:
    """Yield ``function(item)`` for each item, in order, computed by a pool's threads.

    At most ``3 * workers`` chunks are read ahead of what has been yielded, so
    memory does not grow with the iterable, and the iterable is never read to its end first.

    Args:
        function: called from several threads at once.
        items: read by the caller's thread alone.
        pool: an executor with at least ``workers`` threads.
        workers: chunks computed at the same time.
        chunk: items that a thread takes at a time.

    Raises:
        Exception: whatever ``function`` or ``items`` raises, at the place of its item.
    """
    source = iter(items)
    waiting: deque[Future[list[_Out]]] = deque()

    def compute(taken: list[_In]) -> list[_Out]:
        return [function(item) for item in taken]

    try:
        while True:
            while len(waiting) < 3 * workers and (taken := list(islice(source, chunk))):
                waiting.append(pool.submit(compute, taken))
            if not waiting:
                return
            yield from waiting.popleft().result()
    finally:
        for future in waiting:
            future.cancel()
