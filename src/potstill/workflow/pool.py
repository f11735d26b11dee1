"""One pool of threads for all workflows of a process, and a limit on the time of a call.

Whoever waits for the pool helps: a task that no thread has begun is taken back and done by
the waiting thread itself. So nobody ever waits for a thread to become free, and a workflow
inside a workflow, or one called from the pool's own threads, cannot lock up.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from functools import cache
from typing import TypeVar

from potstill.runtime.cores import cores

_T = TypeVar("_T")

_MOST_OVERDUE = 4
"""Calls of one node that ran out of time and still run; beyond this no further one is begun."""


@cache
def _pool() -> ThreadPoolExecutor:
    # Two threads at least: a teacher's answer is waited for, not computed.
    return ThreadPoolExecutor(max(2, cores()), thread_name_prefix="potstill-workflow")


def run_all(tasks: Sequence[Callable[[], _T]]) -> list[_T]:
    """The results of all tasks, in their order; the caller's thread does its share.

    Args:
        tasks: the first ones are begun first; they must not need one another.

    Raises:
        Exception: what the first of the tasks that failed raised, once none runs any more.
    """
    others: list[Future[_T]] = [_pool().submit(task) for task in tasks[:-1]]
    results: list[_T | BaseException] = [_result(tasks[-1])] if tasks else []
    for task, other in zip(reversed(tasks[:-1]), reversed(others), strict=True):
        results.append(_result(task if other.cancel() else other.result))
    results.reverse()
    for result in results:
        if isinstance(result, BaseException):
            raise result
    return [result for result in results if not isinstance(result, BaseException)]


def _result(task: Callable[[], _T]) -> _T | BaseException:
    try:
        return task()
    except BaseException as error:
        return error


class TimeLimit:
    """Calls that are waited for only so long.

    A thread cannot be ended from outside: a call that runs out of time runs on unheard, on a
    daemon thread of its own. No more than a few may: while they run, further calls are
    refused at once, so that what hangs cannot eat the process.
    """

    def __init__(self) -> None:
        self._overdue = 0
        self._lock = threading.Lock()

    def call(self, function: Callable[[], _T], seconds: float) -> _T:
        """The result of a function.

        Raises:
            TimeoutError: it did not end in time, or too many that did not still run.
            Exception: whatever the function raises.
        """
        with self._lock:
            if self._overdue >= _MOST_OVERDUE:
                raise TimeoutError(f"{self._overdue} earlier calls that ran out of time still run")
        future: Future[_T] = Future()
        threading.Thread(
            target=_fulfil, args=(future, function), name="potstill-timed", daemon=True
        ).start()
        try:
            return future.result(timeout=seconds)
        except TimeoutError:
            if future.done():  # just now, or the function itself raised the error
                return future.result()
            with self._lock:
                self._overdue += 1
            future.add_done_callback(self._ended)
            raise TimeoutError(f"no answer within {1000 * seconds:g} ms") from None

    def _ended(self, _: Future[_T]) -> None:
        with self._lock:
            self._overdue -= 1


def _fulfil(future: Future[_T], function: Callable[[], _T]) -> None:
    try:
        result = function()
    except BaseException as error:
        future.set_exception(error)
    else:
        future.set_result(result)
