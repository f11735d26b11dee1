"""One chat request and its response, as ASGI has them: pieces go out as they come.

A client that hangs up ends whatever is done for it, and errors keep the shape that chat
clients read, be the head of the response out already or not.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING, Any

import orjson
from starlette.datastructures import Headers

from potstill.serve.chat.shape import event
from potstill.serve.refusal import Refusal
from potstill.serve.visit import SCOPE_KEY, Visit

if TYPE_CHECKING:
    from starlette.types import Receive, Scope, Send

Pairs = list[tuple[bytes, bytes]]
"""Headers as ASGI has them."""

_JSON: Pairs = [(b"content-type", b"application/json")]


class ClientGone(Exception):
    """The client hung up; nobody is there to be answered."""


class Exchange:
    """A request, and the response to it.

    Attributes:
        headers: the request's.
        query: what stands behind the question mark of its address.
        visit: what is known of the request, for the access log.
    """

    def __init__(self, scope: Scope, receive: Receive, send: Send) -> None:
        self.headers = Headers(scope=scope)
        self.query: str = scope.get("query_string", b"").decode("latin-1")
        visit = scope.get(SCOPE_KEY)
        self.visit = visit if isinstance(visit, Visit) else Visit()
        self._begun = False
        self._receive = receive
        self._send = send

    async def body(self, most_bytes: int) -> bytes:
        """The request's body.

        Raises:
            Refusal: it is too large.
            ClientGone: the client hung up.
        """
        content = bytearray()
        while True:
            message = await self._receive()
            if message["type"] == "http.disconnect":
                raise ClientGone
            content += message.get("body", b"")
            if len(content) > most_bytes:
                raise Refusal(
                    413,
                    "too_large",
                    f"The request has more than {most_bytes} bytes.",
                    hint="Send a smaller one.",
                    close=True,
                )
            if not message.get("more_body"):
                return bytes(content)

    async def while_listening(self, work: Awaitable[None]) -> None:
        """Do something, unless the client hangs up meanwhile: then it is cancelled.

        Raises:
            ClientGone: the client hung up.
        """
        working = asyncio.ensure_future(work)
        gone = asyncio.ensure_future(self._gone())
        try:
            await asyncio.wait((working, gone), return_when=asyncio.FIRST_COMPLETED)
            if not working.done():
                raise ClientGone
            working.result()
        finally:
            for task in (working, gone):
                task.cancel()
            await asyncio.gather(working, gone, return_exceptions=True)

    async def begin(self, status: int, headers: Pairs) -> None:
        """Send the head of a response."""
        self._begun = True
        await self._send({"type": "http.response.start", "status": status, "headers": headers})

    async def piece(self, content: bytes, *, last: bool = False) -> None:
        """Send some of its content."""
        await self._send({"type": "http.response.body", "body": content, "more_body": not last})

    async def whole(self, status: int, headers: Pairs, content: bytes) -> None:
        """Send a whole response."""
        length = (b"content-length", str(len(content)).encode())
        await self.begin(status, [*headers, length])
        await self.piece(content, last=True)

    async def json(self, status: int, headers: Pairs, content: bytes) -> None:
        """Send a whole response of JSON."""
        await self.whole(status, headers + _JSON, content)

    async def refuse(self, refusal: Refusal) -> None:
        """Send an error; as the last piece of a stream whose head is out already."""
        told = _told(refusal, self.visit.id)
        if self._begun:
            await self.piece(event(told), last=True)
            return
        headers = [(name.encode(), value.encode()) for name, value in refusal.headers.items()]
        await self.json(refusal.status, headers, orjson.dumps(told))

    async def _gone(self) -> None:
        while (await self._receive())["type"] != "http.disconnect":
            pass


class Application:
    """What answers an `Exchange`, as an ASGI application.

    Args:
        route: its path, for metrics.
        act: answers.
    """

    def __init__(self, route: str, act: Callable[[Exchange], Awaitable[None]]) -> None:
        self._route = route
        self._act = act

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request; see the ASGI specification."""
        exchange = Exchange(scope, receive, send)
        exchange.visit.route = self._route
        try:
            await self._act(exchange)
        except Refusal as refusal:
            await exchange.refuse(refusal)
        except ClientGone:
            return


def _told(refusal: Refusal, request: str) -> dict[str, Any]:
    """A refusal as chat clients know errors, with what ours have beside."""
    told: Any = refusal.to_json(request)
    kind = "server_error" if refusal.status >= 500 else "invalid_request_error"
    message = f"{refusal.message} {refusal.hint}"
    return {"error": told["error"] | {"message": message, "type": kind, "param": None}}
