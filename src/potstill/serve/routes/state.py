"""Health, readiness, metrics, and what is served."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import orjson
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from potstill.serve.hall import Hall
from potstill.serve.registry import Entry
from potstill.serve.visit import visit_of


def routes(hall: Hall, ready: Callable[[], bool]) -> list[Route]:
    """``/health``, ``/ready``, ``/metrics``, ``/v1/models`` and ``/v1/models/{name}``.

    Args:
        hall: the server's parts.
        ready: whether the server wants requests.
    """

    async def health(request: Request) -> Response:
        visit_of(request).route = "/health"
        return _json({"status": "ok"})

    async def is_ready(request: Request) -> Response:
        visit_of(request).route = "/ready"
        models = dict(hall.registry.versions)
        if ready() and not hall.pool.stuck:
            return _json({"status": "ready", "models": models})
        status = "stuck" if hall.pool.stuck else "draining"
        return _json({"status": status, "models": models}, 503)

    async def metrics(request: Request) -> Response:
        visit_of(request).route = "/metrics"
        content, kind = hall.meters.exposition()
        return Response(content, headers={"content-type": kind})

    async def models(request: Request) -> Response:
        visit_of(request).route = "/v1/models"
        return _json({"object": "list", "data": [_described(entry) for entry in hall.registry]})

    async def model(request: Request) -> Response:
        visit_of(request).route = "/v1/models/{name}"
        return _json(_described(hall.registry.find(request.path_params["name"])))

    return [
        Route("/health", health),
        Route("/ready", is_ready),
        Route("/metrics", metrics),
        Route("/v1/models", models),
        Route("/v1/models/{name}", model),
    ]


def _described(entry: Entry) -> dict[str, Any]:
    known = entry.current.facts.to_json(entry.name)
    return {**known, "created": int(entry.current.since)}


def _json(content: object, status: int = 200) -> Response:
    return Response(orjson.dumps(content), status, media_type="application/json")
