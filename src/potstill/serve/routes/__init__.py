"""The routes, one module a protocol."""

from __future__ import annotations

from collections.abc import Callable

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute, Match, Route
from starlette.types import Scope

from potstill.serve import openapi
from potstill.serve.hall import Hall
from potstill.serve.refusal import Refusal
from potstill.serve.routes import classify, infer, predict, state, stream


def all_routes(hall: Hall, *, ready: Callable[[], bool]) -> list[BaseRoute]:
    """Every route of the server, the busiest first; what fits none of them is refused.

    Args:
        hall: the server's parts.
        ready: whether the server wants requests.
    """
    known = [
        *predict.routes(hall),
        *stream.routes(hall),
        *classify.routes(hall),
        *infer.routes(hall, ready),
        *state.routes(hall, ready),
        *openapi.routes(hall),
    ]

    async def unknown(request: Request) -> Response:
        raise _not_here(request.scope, known)

    anything = ["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "TRACE", "QUERY"]
    return [*map(_StrictRoute.of, known), Route("/{path:path}", unknown, methods=anything)]


class _StrictRoute(Route):
    """A route that another method passes by, so that the last route can say which it has."""

    @classmethod
    def of(cls, route: Route) -> _StrictRoute:
        return cls(route.path, route.endpoint, methods=sorted(route.methods or ()))

    def matches(self, scope: Scope) -> tuple[Match, Scope]:
        match, child = super().matches(scope)
        return (Match.NONE if match is Match.PARTIAL else match), child


def _not_here(scope: Scope, known: list[Route]) -> Refusal:
    methods: set[str] = set()
    for route in known:
        if route.matches(scope)[0] is not Match.NONE:
            methods |= route.methods or set()
    if methods:
        return Refusal(
            405,
            "method",
            f"this path does not answer {scope['method'][:20]}.",
            hint=f"Use {' or '.join(sorted(methods))}.",
            allow=", ".join(sorted(methods)),
        )
    chat = scope["path"] == "/v1/chat/completions"
    return Refusal(
        404,
        "no_such_path",
        "there is nothing under this path.",
        hint="Serve a task with --task whose teacher has a 'base_url'."
        if chat
        else "GET /openapi.json lists our routes; those under /v2 are the Open Inference Protocol's.",
    )
