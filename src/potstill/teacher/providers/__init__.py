"""Those who can be asked: an endpoint, a GGUF file in this process, a Python callable."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from potstill.errors import TeacherError
from potstill.spec.teacher import Endpoint
from potstill.teacher.request import Provider

__all__ = ["open_provider"]


def open_provider(
    endpoint: Endpoint,
    *,
    resolve: Callable[[str], Path] = Path,
    threads: int | None = None,
) -> Provider:
    """The provider that a specification names; nothing is asked yet.

    Args:
        endpoint: a live model, as the task file describes it.
        resolve: turns a path as it is written there into one that can be opened.
        threads: threads of a model in this process; None is one less than the CPUs, and
            'threads' under the options goes before it.

    Raises:
        TeacherError: there is no such model, key or callable.
        MissingExtraError: an optional dependency is not installed.
    """
    if endpoint.model is None:
        raise TeacherError("there is no live model to ask.", hint="Name one under 'model'.")
    place, colon, name = endpoint.model.partition(":")
    if colon and place == "local":
        return _open_local(endpoint, name, resolve, threads)
    if colon and place == "python":
        from potstill.teacher.providers.function import open_function

        return open_function(
            name,
            folder=resolve(""),
            concurrency=endpoint.concurrency,
            options=endpoint.options,
        )
    from potstill.teacher.providers.openai_api import open_endpoint

    return open_endpoint(endpoint)


def _open_local(
    endpoint: Endpoint, name: str, resolve: Callable[[str], Path], threads: int | None
) -> Provider:
    from potstill.teacher.gguf import resolve_gguf
    from potstill.teacher.providers.local import (
        DEFAULT_CONTEXT_TOKENS,
        DEFAULT_SLOTS,
        LocalTeacher,
    )

    options = dict(endpoint.options)
    counts: dict[str, int | None] = {"context_tokens": DEFAULT_CONTEXT_TOKENS, "threads": threads}
    for key in counts.keys() & options.keys():
        count = options.pop(key)
        if not isinstance(count, int) or isinstance(count, bool) or count < 1:
            raise TeacherError(
                f"{key!r} is a number from 1, not {count!r}.", hint="Mend it under 'options'."
            )
        counts[key] = count
    return LocalTeacher(
        resolve_gguf(name, resolve),
        slots=endpoint.concurrency or DEFAULT_SLOTS,
        threads=counts["threads"],
        context_tokens=counts["context_tokens"] or DEFAULT_CONTEXT_TOKENS,
        options=options,
    )
