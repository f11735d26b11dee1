"""The outermost layer: what happens to every request, whatever it asks for.

It opens the `Visit`, asks for a key, turns every failure into a JSON error, and, when the
answer is out, counts it and writes one line of log. It is plain ASGI, for it stands in the way
of each request.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, MutableMapping
from typing import Any

import orjson
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from potstill.serve.auth import Guard
from potstill.serve.refusal import Refusal, told
from potstill.serve.settings import Settings
from potstill.serve.visit import SCOPE_KEY, Visit, sane_id, visit_of

_access = logging.getLogger("potstill.access")
_log = logging.getLogger("potstill.serve")

TIMEOUT_HEADER = b"x-timeout-ms"
CLIENT_GONE = 499
"""Status in log and metrics of a request whose caller hung up; nobody receives it."""


class Gate:
    """ASGI middleware around the whole application.

    Args:
        app: the application.
        settings: of the server.
        count: called with route, model, status and milliseconds of each answered request.
    """

    def __init__(
        self,
        app: ASGIApp,
        *,
        settings: Settings,
        count: Callable[[str, str, int, float], None],
    ) -> None:
        self._app = app
        self._settings = settings
        self._guard = Guard(settings.keys)
        self._count = count
        self.draining = False

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        headers: dict[bytes, bytes] = dict(scope["headers"])
        visit = Visit(timeout_s=self._settings.deadline_s)
        visit.id = sane_id(headers.get(b"x-request-id")) or visit.id
        scope[SCOPE_KEY] = visit
        status = 0
        whole = False

        async def send_on(message: Message) -> None:
            nonlocal status, whole
            if message["type"] == "http.response.start":
                status = message["status"]
                self._stamp(message, visit)
            else:
                whole = not message.get("more_body", False)
            await send(message)

        try:
            self._guard.check(scope["path"], headers.get(b"authorization"))
            self._guard.check_origin(headers.get(b"origin"))
            visit.timeout_s = self._timeout_s(headers.get(TIMEOUT_HEADER))
            await self._app(scope, receive, send_on)
        except asyncio.CancelledError:
            status = status or CLIENT_GONE
            raise
        except Exception as error:  # nothing that a request does may end the server
            if not status:
                await refuse(Request(scope), error)(scope, receive, send_on)
            elif not whole:
                _log.error("request %s broke off: %s", visit.id, told(error))
                raise
        finally:
            self._finish(scope, visit, status or CLIENT_GONE)

    def _stamp(self, message: MutableMapping[str, Any], visit: Visit) -> None:
        headers: list[tuple[bytes, bytes]] = list(message.get("headers", ()))
        headers.append((b"x-request-id", visit.id.encode()))
        if self.draining:
            headers.append((b"connection", b"close"))
        message["headers"] = headers

    def _timeout_s(self, header: bytes | None) -> float:
        if header is None:
            return self._settings.deadline_s
        if not header.isdigit() or not 0 < int(header[:12]) <= 86_400_000:
            raise Refusal(
                400,
                "bad_timeout",
                "the header X-Timeout-Ms is not a number of milliseconds.",
                hint="Send a whole number from 1, or leave the header out.",
            )
        return min(int(header) / 1e3, self._settings.deadline_s)

    def _finish(self, scope: Scope, visit: Visit, status: int) -> None:
        ms = visit.spent_ms
        self._count(visit.route, visit.model, status, ms)
        if not self._settings.log_requests:
            return
        line: dict[str, Any] = {
            "request": visit.id,
            "method": scope["method"],
            "path": scope["path"][:200],
            "status": status,
            "ms": round(ms, 3),
        }
        if visit.model:
            line |= {"model": visit.model, "version": visit.version, "inputs": visit.inputs}
        if self._settings.log_texts and visit.values:
            line["texts"] = visit.values
        _access.info(orjson.dumps(line, default=str).decode())


class ClientGone(Exception):
    """The caller hung up before its answer."""


def refuse(request: Request, error: Exception) -> Response:
    """The answer to a request that raised; an error of ours is logged with its traceback."""
    visit = visit_of(request)
    if isinstance(error, ClientGone):
        return Response(status_code=CLIENT_GONE)
    plain = request.scope["path"].startswith("/v2")
    return _refusal(error, visit).response(visit.id, plain=plain)


def _refusal(error: Exception, visit: Visit) -> Refusal:
    if isinstance(error, Refusal):
        return error
    if isinstance(error, TimeoutError):
        return Refusal(
            504,
            "deadline",
            f"the answer was not there after {visit.timeout_s:g} s.",
            hint="Ask for less at a time, or allow more time.",
        )
    if isinstance(error, HTTPException):
        return Refusal(
            error.status_code, "refused", str(error.detail), hint="GET /openapi.json lists all."
        )
    _log.error("request %s failed: %s", visit.id, told(error))
    return Refusal(
        500,
        "internal",
        "the server made a mistake.",
        hint="Look for this request's id in the server's log.",
    )
