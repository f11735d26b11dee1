"""`build_app`: the application, all parts in place."""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import AsyncGenerator, Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from potstill.errors import MissingExtraError
from potstill.serve.contract import Fallback, Recorder
from potstill.serve.settings import Settings

if TYPE_CHECKING:
    from starlette.routing import Router

    from potstill.serve.gate import Gate
    from potstill.serve.hall import Hall
    from potstill.serve.registry import Registry

_log = logging.getLogger("potstill.serve")


class App:
    """An ASGI application, and what the server tells it.

    Attributes:
        hall: its parts.
        gate: its outermost layer.
    """

    def __init__(self, inner: Router, gate: Gate, hall: Hall) -> None:
        self.inner = inner
        self.gate = gate
        self.hall = hall

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        """Answer one request, or start and stop with the server."""
        await self.gate(scope, receive, send)

    def drain(self) -> None:
        """Stop being ready, and end each connection with its next answer."""
        self.gate.draining = True


def build_app(
    registry: Registry,
    settings: Settings,
    *,
    fallbacks: Mapping[str, Fallback] | None = None,
    recorder: Recorder | None = None,
    routes: Sequence[Callable[[Hall], Router]] = (),
) -> App:
    """The application over what is served.

    Args:
        registry: what is served.
        settings: how.
        fallbacks: who answers what a model deferred, by its name; nobody unless given.
        recorder: keeps what was served.
        routes: make routers, of the server's parts, that come before its own.

    Raises:
        MissingExtraError: starlette or prometheus_client is not installed.
    """
    try:
        from starlette.routing import Router
    except ImportError as error:
        raise MissingExtraError("starlette", "serve") from error

    from potstill.serve.answering import Answerer
    from potstill.serve.gate import Gate
    from potstill.serve.hall import Hall
    from potstill.serve.layout import choose_workers
    from potstill.serve.metrics import Meters
    from potstill.serve.pool import Pool
    from potstill.serve.routes import all_routes

    workers = settings.workers or choose_workers(registry)
    pool = Pool(workers, objective_ms=settings.objective_ms, hang_s=2 * settings.deadline_s)
    meters = Meters(registry, pool)
    if recorder is not None:
        meters.watch_recorder(recorder)
    answerer = Answerer(pool, meters, fallbacks=fallbacks or {}, recorder=recorder)
    hall = Hall(settings, registry, pool, meters, answerer)

    @contextlib.asynccontextmanager
    async def lifespan(_: Router) -> AsyncGenerator[None]:
        pool.start()
        watch = asyncio.create_task(_watch(hall))
        try:
            async with contextlib.AsyncExitStack() as stack:
                for router in mounted:
                    await stack.enter_async_context(router.lifespan_context(inner))
                yield
        finally:
            watch.cancel()
            await asyncio.gather(watch, return_exceptions=True)
            await pool.close()
            for fallback in (fallbacks or {}).values():
                await fallback.close()
            if recorder is not None:
                recorder.close()

    mounted = [make(hall) for make in routes]
    # What a route raises is the gate's to refuse: no layer in between has to look at it.
    inner = Router(lifespan=lifespan)
    gate = Gate(inner, settings=settings, count=meters.request)
    inner.routes.extend(route for router in mounted for route in router.routes)
    inner.routes.extend(all_routes(hall, ready=lambda: not gate.draining))
    return App(inner, gate, hall)


async def _watch(hall: Hall) -> None:
    """Look for new versions and for threads that hang, as long as the server runs."""
    while True:
        await asyncio.sleep(hall.settings.poll_s)
        try:
            await hall.registry.refresh()
            if hung := hall.pool.replace_hung():
                _log.error("%d threads hang in a model; others take their place", hung)
        except Exception:  # the watch must outlive whatever goes wrong with one look
            _log.exception("looking for new versions failed")
