"""A teacher in Python: any callable that takes a `Request` and gives a `Reply` or a string."""

from __future__ import annotations

import asyncio
import hashlib
import importlib
import inspect
import sys
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from importlib.metadata import entry_points
from pathlib import Path
from typing import Any

import orjson

from potstill.errors import TeacherError
from potstill.teacher.answer import split_thought
from potstill.teacher.request import AttemptError, Reply, Request, Rung

GROUP = "potstill.teachers"
DEFAULT_THREADS = 8
DEFAULT_TASKS = 32

Answering = Callable[..., Any]
"""Takes a `Request` and the options; gives a `Reply` or a string, or awaits one."""


def open_function(
    name: str,
    *,
    folder: Path,
    concurrency: int | None = None,
    options: Mapping[str, Any] | None = None,
) -> FunctionTeacher:
    """The provider of a callable.

    Args:
        name: ``module:function``, or the name of an entry point in `GROUP`.
        folder: where a module may lie that is not installed: the task file's.
        concurrency: calls at once; None is 8 in threads, or 32 of an async function.
        options: keyword arguments of each call.

    Raises:
        TeacherError: there is no such callable, or it cannot be imported.
    """
    function = _imported(name, folder) if ":" in name else _plugged_in(name)
    if not callable(function):
        raise TeacherError(
            f"'python:{name}' is no function.", hint="Name one that takes a Request."
        )
    return FunctionTeacher(name, function, concurrency=concurrency, options=options)


class FunctionTeacher:
    """A `Provider` that calls a function; one that is not async runs in threads.

    A thread cannot be stopped: a call that takes longer than the timeout runs on, and its
    answer is lost.

    Args:
        name: as the task names it, without ``python:``.
        function: takes a `Request` and the options.
        concurrency: calls at once; None is 8 in threads, or 32 of an async function.
        options: keyword arguments of each call.
    """

    rungs: tuple[Rung, ...] = ("schema",)
    endpoint: str | None = None

    def __init__(
        self,
        name: str,
        function: Answering,
        *,
        concurrency: int | None = None,
        options: Mapping[str, Any] | None = None,
    ) -> None:
        self.name = f"python:{name}"
        self._function = function
        self._options = dict(options or {})
        call = getattr(function, "__call__", None)  # noqa: B004 - an object may have an async one
        self._is_async = inspect.iscoroutinefunction(function) or inspect.iscoroutinefunction(call)
        self.concurrency = concurrency or (DEFAULT_TASKS if self._is_async else DEFAULT_THREADS)
        self.identity = f"{self.name} {_digest(function, self._options)}"
        self._workers = ThreadPoolExecutor(self.concurrency, thread_name_prefix="function-teacher")

    async def complete(self, request: Request, rung: Rung, *, timeout_s: float) -> Reply:
        """One call; see `Provider.complete`."""
        try:
            return _as_reply(await asyncio.wait_for(self._called(request), timeout_s))
        except AttemptError:
            raise
        except TimeoutError:
            raise AttemptError("timed_out", f"no reply in {timeout_s:g} s") from None
        except Exception as error:
            raise AttemptError(
                "server_error", f"{self.name} raised {type(error).__name__}: {error}"
            ) from error

    async def close(self) -> None:
        """Let the threads go."""
        self._workers.shutdown(wait=False, cancel_futures=True)

    async def _called(self, request: Request) -> Any:
        if self._is_async:
            return await self._function(request, **self._options)
        loop = asyncio.get_running_loop()
        return await loop.run_in_executor(
            self._workers, lambda: self._function(request, **self._options)
        )


def _as_reply(given: object) -> Reply:
    if isinstance(given, Reply):
        return given
    if isinstance(given, str):
        thought, text = split_thought(given)
        return Reply(text=text, thought=thought, finish_reason="stop")
    raise AttemptError("unreadable", f"a {type(given).__name__} is neither a Reply nor a string")


def _imported(name: str, folder: Path) -> Any:
    module_name, _, function_name = name.partition(":")
    sys.path.append(str(folder))
    try:
        module = importlib.import_module(module_name)
    except Exception as error:
        raise TeacherError(
            f"the module {module_name!r} cannot be imported ({type(error).__name__}: {error}).",
            hint="Install it, or put it beside the task file.",
        ) from error
    finally:
        sys.path.remove(str(folder))
    function = getattr(module, function_name, None)
    if function is None:
        raise TeacherError(f"the module {module_name!r} has no {function_name!r}.")
    return function


def _plugged_in(name: str) -> Any:
    found = entry_points(group=GROUP)
    if name not in found.names:
        names = ", ".join(sorted(found.names)) or "none"
        raise TeacherError(
            f"there is no teacher {name!r} among the entry points of {GROUP} ({names}).",
            hint="Name a function as 'python:module:function'.",
        )
    try:
        return found[name].load()
    except Exception as error:
        raise TeacherError(
            f"the teacher {name!r} cannot be imported ({type(error).__name__}: {error})."
        ) from error


def _digest(function: Answering, options: Mapping[str, Any]) -> str:
    """Changed code is another teacher, whose answers are not in the cache."""
    digest = hashlib.blake2b(orjson.dumps(options, option=orjson.OPT_SORT_KEYS), digest_size=8)
    module = sys.modules.get(getattr(function, "__module__", None) or "")
    source = getattr(module, "__file__", None)
    if source is not None and Path(source).is_file():
        digest.update(Path(source).read_bytes())
    return digest.hexdigest()
