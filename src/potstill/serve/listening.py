"""uvicorn, held to our manners: signals, a drain that loses nothing, bounded request heads."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import signal
import socket
import threading
import time
from collections.abc import Callable, Generator
from typing import Any

import orjson
import uvicorn
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from potstill.serve.app import App
from potstill.serve.refusal import Refusal
from potstill.serve.settings import Settings
from potstill.serve.visit import Visit

_log = logging.getLogger("potstill.serve")

MOST_HEAD_BYTES = 32 * 2**10
HEAD_S = 10.0
"""A request's head must be whole after so many seconds; one that trickles in holds a socket."""

KEEP_ALIVE_S = 75
_LINGER_S = 2.0
_SETTLE_S = 0.05


class Listener(uvicorn.Server):
    """The server loop.

    Args:
        app: the application.
        settings: how to listen and to leave.

    Attributes:
        on_ready: called once requests are answered.
    """

    def __init__(self, app: App, settings: Settings) -> None:
        super().__init__(
            uvicorn.Config(
                app,
                http=HeadLimits,
                ws="none",
                lifespan="on",
                log_config=None,
                access_log=False,
                server_header=False,
                proxy_headers=False,
                timeout_keep_alive=KEEP_ALIVE_S,
                timeout_graceful_shutdown=int(settings.deadline_s) + 1,
            )
        )
        self._app = app
        self._drain_s = settings.drain_s
        self.on_ready: Callable[[], None] = lambda: None

    def stop(self) -> None:
        """Drain and leave; told a second time, leave at once."""
        if self.should_exit:
            self.force_exit = True
        self.should_exit = True

    @contextlib.contextmanager
    def capture_signals(self) -> Generator[None]:
        """Leave signals alone: `startup` hears them through the loop, and nothing re-raises."""
        yield

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """Start listening, and hear signals."""
        await super().startup(sockets)
        loop = asyncio.get_running_loop()
        if threading.current_thread() is threading.main_thread():
            for number in (signal.SIGTERM, signal.SIGINT):
                loop.add_signal_handler(number, self.stop)
            loop.add_signal_handler(signal.SIGHUP, self._refresh)
        self.on_ready()

    def _refresh(self) -> None:
        task = asyncio.ensure_future(self._app.hall.registry.refresh(at_once=True))
        self.server_state.tasks.add(task)
        task.add_done_callback(self.server_state.tasks.discard)

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        """Answer on, telling callers to go elsewhere; then stop listening; then finish."""
        self._app.drain()
        if not self.force_exit:
            _log.info("draining for %g s", self._drain_s)
            enough = time.monotonic() + self._drain_s
            while time.monotonic() < enough and not self.force_exit:
                await asyncio.sleep(min(0.05, self._drain_s))
        await self._stop_accepting(sockets or [])
        # What was accepted a moment ago has yet to be read; uvicorn would close it as idle.
        await asyncio.sleep(_SETTLE_S)
        await super().shutdown(sockets)
        _log.info("stopped")

    async def _stop_accepting(self, sockets: list[socket.socket]) -> None:
        """Close the listening sockets once nobody stands in their queues.

        The kernel resets whoever has connected and was not accepted when a socket closes. So a
        duplicate keeps each open while the loop lets go of it, and its queue is emptied by hand.
        """
        spares = [sock.dup() for sock in sockets]
        for server in self.servers:
            server.close()
        await asyncio.sleep(0)
        callers: list[socket.socket] = []
        for spare in spares:
            with spare, contextlib.suppress(BlockingIOError):
                spare.setblocking(False)
                while True:
                    callers.append(spare.accept()[0])
        for caller in callers:
            await asyncio.get_running_loop().connect_accepted_socket(self._protocol, caller)

    def _protocol(self) -> HeadLimits:
        return HeadLimits(self.config, self.server_state, self.lifespan.state)


class HeadLimits(HttpToolsProtocol):
    """HTTP/1.1 whose request heads are bounded in size and time, with JSON errors."""

    def connection_made(self, transport: Any) -> None:
        """A caller connected: its first head is due."""
        super().connection_made(transport)
        self._in_head = True
        self._head_bytes = 0
        self._too_large = False
        self._refused = False
        self._due: asyncio.TimerHandle | None = self.loop.call_later(HEAD_S, transport.close)

    def connection_lost(self, exc: Exception | None) -> None:
        """The caller is gone, or was sent away."""
        self._whole()
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        """Feed the parser; a head that is still not whole may not grow for ever."""
        if self._refused:
            return
        super().data_received(data)
        if not self._in_head or self._refused or not self._head_begun:
            return
        self._head_bytes += len(data)
        if self._head_bytes > MOST_HEAD_BYTES:
            self._too_large = True
            self.send_400_response("")
        elif self._due is None:
            self._due = self.loop.call_later(HEAD_S, self.transport.close)

    _head_begun = False

    def on_message_begin(self) -> None:
        """The first byte of a head."""
        self._head_begun = True
        super().on_message_begin()

    def on_headers_complete(self) -> None:
        """The head is whole."""
        self._in_head = False
        self._whole()
        if len(self.url) + sum(len(n) + len(v) for n, v in self.headers) > MOST_HEAD_BYTES:
            self._too_large = True
            raise ValueError("the head is too large")  # ends in `send_400_response`
        super().on_headers_complete()

    def on_message_complete(self) -> None:
        """The body is whole: a new head may follow."""
        self._in_head, self._head_begun, self._head_bytes = True, False, 0
        super().on_message_complete()

    def send_400_response(self, msg: str) -> None:
        """Refuse what is not HTTP, or too much of it; then hang up, once it has been read.

        A caller that is still sending sees a reset and no answer if the connection closes at
        once; so only our half is closed, and what still comes is thrown away for a moment.
        """
        self._refused = True
        refusal = _TOO_LARGE if self._too_large else _NOT_HTTP
        body = orjson.dumps(refusal.to_json(Visit().id))
        phrase = b"Request Header Fields Too Large" if self._too_large else b"Bad Request"
        self.transport.write(
            b"HTTP/1.1 %d %b\r\ncontent-type: application/json\r\ncontent-length: %d\r\n"
            b"connection: close\r\n\r\n%b" % (refusal.status, phrase, len(body), body)
        )
        if self.transport.can_write_eof():
            self.transport.write_eof()
        self._due = self.loop.call_later(_LINGER_S, self.transport.close)

    def _whole(self) -> None:
        if self._due is not None:
            self._due.cancel()
            self._due = None


_NOT_HTTP = Refusal(
    400, "not_http", "the request is not HTTP/1.1.", hint="Send it with an HTTP client."
)
_TOO_LARGE = Refusal(
    431,
    "head_too_large",
    f"the request's line and headers are larger than {MOST_HEAD_BYTES:,} bytes.",
    hint="Send fewer or shorter headers.",
)
