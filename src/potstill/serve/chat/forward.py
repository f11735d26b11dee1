"""Requests that go on to the teacher's endpoint as they came, and its replies as they come."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING

from potstill.errors import TeacherError
from potstill.serve.chat.exchange import Pairs
from potstill.serve.refusal import Refusal
from potstill.spec.loading import LoadedTask
from potstill.teacher.providers.openai_api import open_endpoint
from potstill.teacher.request import AttemptError

if TYPE_CHECKING:
    import aiohttp
    from starlette.datastructures import Headers

_MOST_AT_ONCE = 1024
_HOP_BY_HOP = frozenset(
    (
        "connection",
        "keep-alive",
        "proxy-authenticate",
        "proxy-authorization",
        "proxy-connection",
        "te",
        "trailer",
        "transfer-encoding",
        "upgrade",
    )
)
_NOT_SENT = _HOP_BY_HOP | {"host", "content-length", "accept-encoding", "cookie", "expect"}
_SECRETS = frozenset(("authorization", "api-key", "x-api-key"))
_NOT_PASSED_BACK = _HOP_BY_HOP | {
    "content-length",
    "content-encoding",
    "set-cookie",
    "server",
    "date",
}
_RENAMED = {"x-request-id": "x-potstill-teacher-request-id"}
"""The server gives each request an id of its own under that name."""


@dataclass(frozen=True, slots=True)
class Upstream:
    """A reply of the teacher, its content still to be read.

    Attributes:
        status: of HTTP.
        headers: those that a client should see.
        streams: whether it comes in pieces (server-sent events).
        response: the reply itself.
    """

    status: int
    headers: Pairs
    streams: bool
    response: aiohttp.ClientResponse


class Forwarder:
    """Passes requests on to the endpoint of a task's teacher.

    The key is that of the teacher's ``api_key_env``. Where none is named the client's own is
    passed on, unless that one opens this server rather than the teacher's.

    Args:
        loaded: the task.
        pass_on_keys: whether the client's keys are the teacher's.

    Raises:
        TeacherError: the teacher has no address that requests could go on to, or no key.
        MissingExtraError: aiohttp is not installed.
    """

    def __init__(self, loaded: LoadedTask, *, pass_on_keys: bool = True) -> None:
        spec = loaded.task.teacher
        if spec is None or spec.model is None or spec.base_url is None:
            raise TeacherError(
                "this task's teacher has no address that chat requests could go on to.",
                where=loaded.places.get(("teacher",)) or str(loaded.path),
                hint="Name 'base_url' and 'model' under 'teacher'.",
            )
        self._teacher = open_endpoint(spec)
        self._idle_s = spec.timeout_s
        own_key = spec.api_key_env is not None
        self._not_sent = _NOT_SENT if pass_on_keys and not own_key else _NOT_SENT | _SECRETS
        self._at_once = 0
        self.host = self._teacher.endpoint
        """Where requests go."""

    @asynccontextmanager
    async def send(
        self, method: str, path: str, headers: Headers | None = None, body: bytes | None = None
    ) -> AsyncGenerator[Upstream]:
        """The reply to a request that is passed on.

        Args:
            method: of HTTP.
            path: below the endpoint's address, with its query.
            headers: the client's.
            body: the client's, byte for byte.

        Raises:
            Refusal: there is no reply, or not all of it; or too many wait for one.
        """
        if self._at_once >= _MOST_AT_ONCE:
            raise Refusal(
                429,
                "too_many_forwarded",
                "Too many requests wait for the teacher.",
                hint="Try again in a moment.",
                retry_after_s=1.0,
            )
        self._at_once += 1
        try:
            async with self._teacher.relay(
                method, path, data=body, headers=self._passed_on(headers), idle_s=self._idle_s
            ) as response:
                kind = response.headers.get("content-type", "")
                yield Upstream(
                    response.status,
                    _passed_back(response.headers),
                    kind.startswith("text/event-stream"),
                    response,
                )
        except AttemptError as error:
            raise _refusal(error) from None
        finally:
            self._at_once -= 1

    async def close(self) -> None:
        """Close the connections."""
        await self._teacher.close()

    def _passed_on(self, headers: Headers | None) -> Mapping[str, str]:
        passed = {"Accept-Encoding": "identity"}
        for name, value in headers.items() if headers is not None else ():
            if name not in self._not_sent and not name.startswith(("x-forwarded-", "x-potstill-")):
                passed[name] = value
        return passed


def _passed_back(headers: Mapping[str, str]) -> Pairs:
    return [
        (_RENAMED.get(name.lower(), name.lower()).encode(), value.encode("latin-1", "replace"))
        for name, value in headers.items()
        if name.lower() not in _NOT_PASSED_BACK
    ]


def _refusal(error: AttemptError) -> Refusal:
    """What the client hears when the teacher did not answer; the detail holds no secret."""
    late = error.fault == "timed_out"
    return Refusal(
        504 if late else 502,
        "teacher_timed_out" if late else "teacher_unreachable",
        f"The teacher did not answer: {error.detail.rstrip('.')}.",
        hint=error.hint or "Try again.",
    )
