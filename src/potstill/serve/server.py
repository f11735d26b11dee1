"""`serve`: listen, answer, and leave without losing a request."""

from __future__ import annotations

import contextlib
import gc
import logging
import socket
import sys
import threading
from collections.abc import Callable, Generator, Mapping, Sequence
from typing import TYPE_CHECKING

from potstill.errors import MissingExtraError, PotstillError
from potstill.serve.auth import check_exposure
from potstill.serve.contract import Fallback, Recorder
from potstill.serve.settings import Settings

if TYPE_CHECKING:
    from starlette.routing import Router

    from potstill.serve.hall import Hall
    from potstill.serve.listening import Listener
    from potstill.serve.registry import Registry

SWITCH_S = 0.0005


def serve(
    registry: Registry,
    settings: Settings,
    *,
    fallbacks: Mapping[str, Fallback] | None = None,
    recorder: Recorder | None = None,
    routes: Sequence[Callable[[Hall], Router]] = (),
    on_ready: Callable[[str], None] | None = None,
) -> None:
    """Serve until SIGTERM or SIGINT, then answer what was accepted, and return.

    SIGHUP looks for new versions at once.

    Args:
        registry: what is served.
        settings: how.
        fallbacks: who answers what a model deferred, by its name.
        recorder: keeps what was served.
        routes: make routers, of the server's parts, that come before its own.
        on_ready: called with the server's URL once it answers.

    Raises:
        PotstillError: the address is taken, or reachable from outside without a key.
        MissingExtraError: the ``serve`` extra is not installed.
    """
    with _listening(registry, settings, fallbacks, recorder, routes) as (listener, sock, url):
        listener.on_ready = lambda: on_ready(url) if on_ready else None
        listener.run([sock])


@contextlib.contextmanager
def serving(
    registry: Registry,
    settings: Settings,
    *,
    fallbacks: Mapping[str, Fallback] | None = None,
    recorder: Recorder | None = None,
    routes: Sequence[Callable[[Hall], Router]] = (),
) -> Generator[str]:
    """Serve in a thread for as long as the block runs; yields the URL. See `serve`."""
    with _listening(registry, settings, fallbacks, recorder, routes) as (listener, sock, url):
        ready = threading.Event()
        listener.on_ready = ready.set
        thread = threading.Thread(target=listener.run, args=([sock],), name="potstill-server")
        thread.start()
        try:
            while not ready.wait(0.1):
                if not thread.is_alive():
                    raise PotstillError("the server did not start.", hint="Look at its log.")
            yield url
        finally:
            listener.stop()
            thread.join()


@contextlib.contextmanager
def _listening(
    registry: Registry,
    settings: Settings,
    fallbacks: Mapping[str, Fallback] | None,
    recorder: Recorder | None,
    routes: Sequence[Callable[[Hall], Router]],
) -> Generator[tuple[Listener, socket.socket, str]]:
    """A server that can run, its socket and its URL."""
    check_exposure(settings.host, settings.keys)
    try:
        from potstill.serve.listening import Listener
    except ImportError as error:
        raise MissingExtraError(error.name or "uvicorn", "serve") from error
    from potstill.serve.app import build_app

    with _bound(settings) as sock, _logging(), _prompt_threads():
        app = build_app(registry, settings, fallbacks=fallbacks, recorder=recorder, routes=routes)
        yield Listener(app, settings), sock, _url(sock)


@contextlib.contextmanager
def _prompt_threads() -> Generator[None]:
    """Let a thread that has its logits wait half a millisecond for the interpreter, not five.

    With 64 callers this gave a fifth more answers a second: a core idles while its thread waits.
    """
    before = sys.getswitchinterval()
    sys.setswitchinterval(SWITCH_S)
    # What was there before the first request stays; the collector need not look at it again.
    gc.collect()
    gc.freeze()
    try:
        yield
    finally:
        gc.unfreeze()
        sys.setswitchinterval(before)


@contextlib.contextmanager
def _bound(settings: Settings) -> Generator[socket.socket]:
    """A listening socket; a caller that comes before the server is ready waits in its queue."""
    family = socket.AF_INET6 if ":" in settings.host else socket.AF_INET
    with socket.socket(family, socket.SOCK_STREAM) as sock:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            sock.bind((settings.host, settings.port))
        except (OSError, OverflowError) as error:
            reason = error.strerror if isinstance(error, OSError) else "no such port"
            raise PotstillError(
                f"cannot listen on {settings.host}, port {settings.port}: {reason}.",
                hint="Choose another port, or stop what listens there.",
            ) from error
        yield sock


def _url(sock: socket.socket) -> str:
    host, port = sock.getsockname()[:2]
    return f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"


@contextlib.contextmanager
def _logging() -> Generator[None]:
    """Lines on stderr for as long as the server runs, unless the program has its own logging.

    The access log is one JSON object a line; the server's own words are plain text.
    """
    words, access = logging.StreamHandler(), logging.StreamHandler()
    words.setFormatter(logging.Formatter("%(asctime)s %(levelname)s %(message)s"))
    wanted = {"potstill.serve": words, "uvicorn.error": words, "potstill.access": access}
    levels = {"uvicorn.error": logging.ERROR}
    taken = {
        name: handler
        for name, handler in wanted.items()
        if not logging.getLogger(name).hasHandlers()
    }
    for name, handler in taken.items():
        logger = logging.getLogger(name)
        logger.addHandler(handler)
        logger.setLevel(levels.get(name, logging.INFO))
        logger.propagate = False
    try:
        yield
    finally:
        for name, handler in taken.items():
            logger = logging.getLogger(name)
            logger.removeHandler(handler)
            logger.setLevel(logging.NOTSET)
            logger.propagate = True
