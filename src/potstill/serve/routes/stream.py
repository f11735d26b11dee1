"""``POST /v1/models/{name}/stream``: JSON lines in, JSON lines out, in order, without end.

Answers go out while rows still come in; neither side is ever held in memory as a whole. A
caller that reads slowly is sent no more than it takes, and then no more is read of it.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncGenerator, Mapping
from typing import Any, cast

import orjson
from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response
from starlette.routing import Route
from starlette.types import Message, Receive, Scope, Send

from potstill.data.example import Input
from potstill.serve.bodies import check_type
from potstill.serve.contract import Answer
from potstill.serve.facts import Facts
from potstill.serve.hall import Hall
from potstill.serve.inputs import read_input
from potstill.serve.refusal import Refusal
from potstill.serve.registry import Entry
from potstill.serve.routes.predict import answer_json
from potstill.serve.visit import Visit, visit_of

LINE_TYPES = frozenset(
    {
        "application/x-ndjson",
        "application/jsonl",
        "application/x-jsonlines",
        "application/json",
        "application/x-www-form-urlencoded",
        "",
    }
)
ROWS_AHEAD = 8
"""Rows for each thread that are read ahead of the answers."""


def routes(hall: Hall) -> list[Route]:
    """The route, for all models."""

    async def stream(request: Request) -> Response:
        visit = visit_of(request)
        visit.route = "/v1/models/{name}/stream"
        entry = hall.registry.find(request.path_params["name"])
        visit.model, visit.version = entry.name, entry.current.facts.version
        check_type(request, LINE_TYPES, "application/x-ndjson")
        hall.pool.admit()
        return _Lines(_answers(hall, entry, request, visit))

    return [Route("/v1/models/{name}/stream", stream, methods=["POST"])]


class _Lines(Response):
    """A body that is sent while the request's is still being read."""

    media_type = "application/x-ndjson"

    def __init__(self, lines: AsyncGenerator[bytes]) -> None:
        super().__init__()
        del self.headers["content-length"]
        self._chunks = lines

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Send what comes, as it comes."""
        head: Message = {"type": "http.response.start", "status": 200, "headers": self.raw_headers}
        await send(head)
        async with contextlib.aclosing(self._chunks) as lines:
            async for line in lines:
                await send({"type": "http.response.body", "body": line, "more_body": True})
        await send({"type": "http.response.body", "body": b""})


async def _answers(
    hall: Hall, entry: Entry, request: Request, visit: Visit
) -> AsyncGenerator[bytes]:
    ahead: asyncio.Queue[asyncio.Task[bytes] | None] = asyncio.Queue(ROWS_AHEAD * hall.pool.workers)

    async def read() -> None:
        settings = hall.settings
        # A caller that hangs up, or sends nothing for long, ends its own stream.
        with contextlib.suppress(ClientDisconnect, TimeoutError):
            async for at, line in _lines(request, settings.max_body_bytes, settings.deadline_s):
                await ahead.put(asyncio.create_task(_answer(hall, entry, at, line, visit)))
        await ahead.put(None)

    reader = asyncio.create_task(read())
    task: asyncio.Task[bytes] | None = None
    try:
        while (task := await ahead.get()) is not None:
            yield await task
    finally:
        reader.cancel()
        left = [task] if task else []
        while not ahead.empty():
            left += [other] if (other := ahead.get_nowait()) else []
        for unfinished in left:
            unfinished.cancel()
        await asyncio.gather(reader, return_exceptions=True)
        await asyncio.gather(*left, return_exceptions=True)


async def _lines(
    request: Request, limit_bytes: int, patience_s: float
) -> AsyncGenerator[tuple[int, bytes | None]]:
    """The lines of a body that hold something, counted from 1; None for one that is too long."""
    rest = b""
    at, skipping = 1, False
    chunks = aiter(request.stream())
    while True:
        async with asyncio.timeout(patience_s):
            chunk = await anext(chunks, None)
        if chunk is None:
            break
        *lines, rest = (rest + chunk).split(b"\n")
        for line in lines:
            if skipping:
                skipping = False
            elif line.strip():
                yield at, line if len(line) <= limit_bytes else None
            at += 1
        if len(rest) > limit_bytes:
            if not skipping:
                yield at, None
            skipping, rest = True, b""
    if rest.strip() and not skipping:
        yield at, rest


async def _answer(hall: Hall, entry: Entry, at: int, line: bytes | None, visit: Visit) -> bytes:
    """One line of the answer: a prediction, or an error in its place, with the line of its row."""
    known: dict[str, Any] = {}
    try:
        row = _row(line, hall.settings.max_body_bytes)
        if "id" in row:
            known["id"] = row["id"]
        value = _value(row, entry.current.facts)
        if hall.settings.log_texts:
            visit.values.append(value)
        [answer] = await hall.answerer.answer_each(entry, [value], visit)
        if isinstance(answer, Answer):
            return orjson.dumps({**known, **answer_json(answer, 0)}) + b"\n"
        refusal = answer
    except Refusal as error:
        refusal = error
    return orjson.dumps({**known, "line": at, **refusal.to_json(visit.id)}) + b"\n"


def _row(line: bytes | None, limit_bytes: int) -> Mapping[str, Any]:
    if line is None:
        raise Refusal(
            413,
            "too_large",
            f"the line is longer than {limit_bytes:,} bytes.",
            hint="Send shorter rows.",
        )
    try:
        row: Any = orjson.loads(line)
    except orjson.JSONDecodeError as error:
        raise Refusal(
            400,
            "not_json",
            f"the line is not JSON: {error.msg} (column {error.colno}).",
            hint='Send one JSON object a line, for example {"input": "…"}.',
        ) from error
    if isinstance(row, str):
        return {"input": row}
    if not isinstance(row, dict):
        raise Refusal(
            400,
            "not_an_object",
            "the line is JSON, but neither an object nor a text.",
            hint='Send one JSON object a line, for example {"input": "…"}.',
        )
    return cast("dict[str, Any]", row)


def _value(row: Mapping[str, Any], facts: Facts) -> Input:
    """The input of a row: under ``input``, or named fields beside whatever else it has."""
    if "input" in row or not facts.fields:
        return read_input(row.get("input"), facts)
    return read_input({name: row.get(name) for name in facts.fields}, facts, "the row")
