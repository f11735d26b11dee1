"""Reading bodies: bounded in size and time, JSON and nothing else."""

from __future__ import annotations

import asyncio
from typing import Any

import orjson
from starlette.requests import Request

from potstill.serve.gate import ClientGone
from potstill.serve.refusal import Refusal
from potstill.serve.visit import visit_of

JSON_TYPES = frozenset({"", "application/json", "application/x-www-form-urlencoded"})
"""`curl -d` calls everything a form; what is not JSON is refused when it is parsed."""

LINGER_S = 2.0


async def read_json(request: Request, limit_bytes: int) -> dict[str, Any]:
    """The JSON object in the body of a request.

    Raises:
        Refusal: another content type (415), too large (413), not JSON or no object (400).
        ClientGone: the caller hung up.
    """
    check_type(request, JSON_TYPES, "application/json")
    body = await read_body(request, limit_bytes)
    return parse_object(body)


def check_type(request: Request, allowed: frozenset[str], wanted: str) -> None:
    """Refuse a content type.

    Raises:
        Refusal: it is not among the allowed ones (415).
    """
    kind = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    encoding = request.headers.get("content-encoding", "identity").strip().lower()
    if kind in allowed and encoding in ("", "identity"):
        return
    found = f"content type {kind[:100]!r}" if kind not in allowed else f"encoding {encoding[:50]!r}"
    raise Refusal(
        415,
        "content_type",
        f"a body of {found} is not read here.",
        hint=f"Send it uncompressed with the header 'Content-Type: {wanted}'.",
        close=True,
    )


def parse_object(body: bytes) -> dict[str, Any]:
    """The JSON object in some bytes.

    Raises:
        Refusal: not JSON, or no object (400).
    """
    try:
        document: Any = orjson.loads(body)
    except orjson.JSONDecodeError as error:
        raise Refusal(
            400,
            "not_json",
            f"the body is not JSON: {error.msg} (line {error.lineno}, column {error.colno})."
            if body
            else "the body is empty.",
            hint='Send a JSON object in UTF-8, for example {"input": "…"}.',
        ) from error
    if not isinstance(document, dict):
        raise Refusal(
            400,
            "not_an_object",
            "the body is JSON, but not an object.",
            hint='Send a JSON object, for example {"input": "…"}.',
        )
    return document


async def read_body(request: Request, limit_bytes: int) -> bytes:
    """The whole body.

    A caller that is still sending when the connection closes sees a reset and not its answer,
    so what is too large is read for a moment more, and thrown away.

    Raises:
        Refusal: larger than the limit (413), or not there in time (408).
        ClientGone: the caller hung up.
    """
    declared = request.headers.get("content-length", "")
    too_large = declared.isdigit() and int(declared[:20]) > limit_bytes
    chunks: list[bytes] = []
    size, more = 0, True
    try:
        async with asyncio.timeout(LINGER_S if too_large else visit_of(request).timeout_s) as wait:
            while more:
                message = await request.receive()
                if message["type"] == "http.disconnect":
                    raise ClientGone
                more = message.get("more_body", False)
                if too_large:
                    continue
                chunks.append(message.get("body", b""))
                size += len(chunks[-1])
                if size > limit_bytes:
                    too_large = True
                    chunks.clear()
                    wait.reschedule(asyncio.get_running_loop().time() + LINGER_S)
    except TimeoutError as error:
        if not too_large:
            raise _SLOW from error
    if too_large:
        raise Refusal(
            413,
            "too_large",
            f"the body is larger than {limit_bytes:,} bytes.",
            hint="Send fewer inputs at a time, or stream them to the model's 'stream' route.",
            close=True,
        )
    return chunks[0] if len(chunks) == 1 else b"".join(chunks)


_SLOW = Refusal(
    408,
    "slow_body",
    "the body did not come in time.",
    hint="Send it faster, or in smaller parts.",
    close=True,
)
