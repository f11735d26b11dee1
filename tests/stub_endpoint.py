"""An endpoint that speaks the OpenAI protocol, misbehaves on request, and keeps its own books.

In a process of its own, from a test or a benchmark::

    with running_stub(latency_ms=20, faults=0.3) as stub:
        ...  # stub.base_url
        books = stub.books()

It is a bare asyncio protocol, so that it is never the slower side of a measurement. It answers
a chat completion with an instance of the JSON schema that was asked for (an enum's member is
chosen by the last turn, always the same), or with ``answer``. A share ``faults`` of the calls
goes wrong in one of the ways of `FAULTS`.

What it bills it tells in ``usage``, and adds up in ``billed_usd``. Calls that end without a
reply (``hang``, ``closed``) it bills without telling, in ``untold_usd``, when ``bill_untold``.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import json
import random
import subprocess
import sys
import time
import urllib.request
import zlib
from collections import Counter
from collections.abc import Generator
from dataclasses import dataclass, field
from email.utils import formatdate
from pathlib import Path
from typing import Any

import orjson

FAULTS = (
    "limited",  # 429, and so is every other call for a moment: a burst
    "server_error",  # 500
    "hang",  # no reply at all, until the client goes away
    "truncated",  # finish_reason "length", and half an answer
    "invalid_json",
    "wrong_label",  # JSON that the schema does not allow
    "empty",
    "closed",  # the connection is cut without a reply
)
INPUT_USD_PER_MILLION = 2.0
OUTPUT_USD_PER_MILLION = 8.0
_BURST_S = 0.03
_MILLION = 1_000_000


@dataclass
class Stub:
    """How the endpoint behaves, and what it did.

    Attributes:
        latency_ms: time that a reply takes.
        faults: share of the calls that go wrong.
        kinds: in which ways.
        answer: reply to a call without a schema.
        thought: ``reasoning_content`` of each reply.
        key: the key that it insists on.
        model: the only model that it has; empty is any.
        context_tokens: longest prompt that it takes.
        usage: whether it tells the tokens.
        retry_after: what ``Retry-After`` of a 429 is chosen from: nothing, seconds, or the
            HTTP date of the next second.
        bill_untold: whether calls that end without a reply are billed.
        seed: of the misbehaviour.
    """

    latency_ms: float = 0.0
    faults: float = 0.0
    kinds: tuple[str, ...] = FAULTS
    answer: str = "ok"
    thought: str = ""
    key: str = ""
    model: str = ""
    context_tokens: int = 1_000_000
    usage: bool = True
    retry_after: tuple[str, ...] = ("", "0", "1", "date")
    bill_untold: bool = False
    seed: int = 0
    books: dict[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.books = {"calls": 0, "answered": 0, "billed_usd": 0.0, "untold_usd": 0.0}
        self.books |= {"prompt_tokens": 0, "completion_tokens": 0, "in_flight": 0, "most": 0}
        self.by_fault: Counter[str] = Counter()
        self._random = random.Random(self.seed)
        self._limited_until = 0.0

    def reply(self, body: dict[str, Any], key: str) -> tuple[int, dict[str, str], bytes] | None:
        """Status, headers and body of the reply to a completion; None is no reply."""
        if not body["messages"]:
            return _error(400, "invalid_request_error", "There are no messages.")
        self.books["calls"] += 1
        prompt_tokens = 4 + sum(4 + len(turn["content"]) // 4 for turn in body["messages"])
        if self.key and key != f"Bearer {self.key}":
            return _error(401, "invalid_api_key", "Incorrect API key provided.")
        if self.model and body["model"] != self.model:
            return _error(404, "model_not_found", f"The model {body['model']} does not exist.")
        if prompt_tokens > self.context_tokens:
            return _error(400, "context_length_exceeded", "The maximum context length is passed.")
        fault = self._fault()
        if fault is not None:
            self.by_fault[fault] += 1
        if fault == "limited":
            return _error(429, "rate_limit_exceeded", "Slow down.", **self._retry_after())
        if fault == "server_error":
            return _error(500, "server_error", "The server had an error.")
        text, finish = self._text(body, fault)
        completion_tokens = 1 + (len(text) + len(self.thought)) // 4
        if fault == "truncated":
            text, finish = text[: len(text) // 2], "length"
            completion_tokens = self._most(body)
        completion_tokens = min(completion_tokens, self._most(body))
        if fault in ("hang", "closed"):
            self.bill(f"{prompt_tokens} {completion_tokens}", told=False)
            return None if fault == "closed" else (0, {}, b"")
        completion = self._completion(body, text, finish, prompt_tokens, completion_tokens)
        return 200, {"Billed": f"{prompt_tokens} {completion_tokens}"}, completion

    def bill(self, billed: str, *, told: bool) -> None:
        """Bill a reply; one that nobody was there to receive was not told."""
        sent, received = map(int, billed.split())
        usd = (sent * INPUT_USD_PER_MILLION + received * OUTPUT_USD_PER_MILLION) / _MILLION
        if told:
            self.books["answered"] += 1
            self.books["billed_usd"] += usd
            self.books["prompt_tokens"] += sent
            self.books["completion_tokens"] += received
        elif self.bill_untold:
            self.books["untold_usd"] += usd

    def _fault(self) -> str | None:
        now = time.monotonic()
        if now < self._limited_until:
            return "limited"
        if self._random.random() >= self.faults:
            return None
        fault = self._random.choice(self.kinds)
        if fault == "limited":
            self._limited_until = now + _BURST_S
        return fault

    def _retry_after(self) -> dict[str, str]:
        wait = self._random.choice(self.retry_after)
        if wait == "date":
            wait = formatdate(time.time() + 1, usegmt=True)
        return {"Retry-After": wait} if wait else {}

    def _text(self, body: dict[str, Any], fault: str | None) -> tuple[str, str]:
        asked = body.get("response_format") or {}
        schema = (asked.get("json_schema") or {}).get("schema")
        last = body["messages"][-1]["content"]
        text = self.answer if schema is None else json.dumps(_instance(schema, last))
        if fault == "empty":
            text = ""
        elif fault == "invalid_json":
            text = text[: len(text) // 2] + "<<"
        elif fault == "wrong_label":
            text = '{"label": "no such label"}'
        return text, "stop"

    def _most(self, body: dict[str, Any]) -> int:
        return body.get("max_completion_tokens") or body.get("max_tokens") or 256

    def _completion(
        self, body: dict[str, Any], text: str, finish: str, sent: int, received: int
    ) -> bytes:
        message: dict[str, Any] = {"role": "assistant", "content": text}
        if self.thought:
            message["reasoning_content"] = self.thought
        choice: dict[str, Any] = {"index": 0, "message": message, "finish_reason": finish}
        if body.get("logprobs"):
            token = {"token": text, "logprob": -0.1, "bytes": None}
            choice["logprobs"] = {"content": [token | {"top_logprobs": [token]}]}
        completion: dict[str, Any] = {
            "id": f"stub-{self.books['calls']}",
            "object": "chat.completion",
            "created": int(time.time()),
            "model": body["model"],
            "choices": [choice],
        }
        if self.usage:
            completion["usage"] = {
                "prompt_tokens": sent,
                "completion_tokens": received,
                "total_tokens": sent + received,
            }
        return orjson.dumps(completion)


def _instance(schema: dict[str, Any], text: str) -> Any:
    """Something that the schema allows."""
    if "enum" in schema:
        return schema["enum"][zlib.crc32(text.encode()) % len(schema["enum"])]
    if "const" in schema:
        return schema["const"]
    kind = schema.get("type")
    if kind == "object":
        return {name: _instance(part, text) for name, part in schema["properties"].items()}
    if kind == "array":
        return [_instance(schema["items"], text)]
    return {"string": "because", "integer": 1, "number": 1.0, "boolean": True}.get(kind or "")


def _error(
    status: int, code: str, message: str, **headers: str
) -> tuple[int, dict[str, str], bytes]:
    return status, headers, orjson.dumps({"error": {"message": message, "code": code}})


class _Connection(asyncio.Protocol):
    """HTTP/1.1 as far as one JSON request after another needs it."""

    def __init__(self, stub: Stub) -> None:
        self._stub = stub
        self._buffer = b""
        self._loop = asyncio.get_running_loop()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport: Any = transport

    def data_received(self, data: bytes) -> None:
        self._buffer += data
        while True:
            head, end, rest = self._buffer.partition(b"\r\n\r\n")
            if not end:
                return
            first, *lines = head.decode("latin-1").split("\r\n")
            headers = {n.lower(): v.strip() for n, _, v in (x.partition(":") for x in lines)}
            length = int(headers.get("content-length", 0))
            if len(rest) < length:
                return
            self._buffer = rest[length:]
            self._request(first.split(" ")[1], headers, rest[:length])

    def _request(self, path: str, headers: dict[str, str], body: bytes) -> None:
        books = self._stub.books
        if path == "/books":
            told = books | {"by_fault": self._stub.by_fault}
            self._send(200, {}, orjson.dumps(told))
        elif path.endswith("/models"):
            served = {"id": self._stub.model or "stub", "object": "model"}
            self._send(200, {}, orjson.dumps({"object": "list", "data": [served]}))
        elif path.endswith("/chat/completions"):
            books["in_flight"] += 1
            books["most"] = max(books["most"], books["in_flight"])
            given = self._stub.reply(orjson.loads(body), headers.get("authorization", ""))
            delay_s = self._stub.latency_ms / 1000
            self._loop.call_later(delay_s, self._answer, given)
        else:
            self._send(*_error(404, "not_found", path))

    def _answer(self, given: tuple[int, dict[str, str], bytes] | None) -> None:
        self._stub.books["in_flight"] -= 1
        if given is None:
            self._transport.abort()
        elif given[0]:
            self._send(*given)

    def _send(self, status: int, headers: dict[str, str], body: bytes) -> None:
        here = not self._transport.is_closing()
        if "Billed" in headers:
            self._stub.bill(headers["Billed"], told=here)
        if not here:
            return
        more = "".join(f"{name}: {value}\r\n" for name, value in headers.items())
        self._transport.write(
            f"HTTP/1.1 {status} X\r\nContent-Type: application/json\r\n"
            f"Date: {formatdate(usegmt=True)}\r\n{more}"
            f"Content-Length: {len(body)}\r\n\r\n".encode()
            + body
        )


async def _serve(stub: Stub) -> None:
    loop = asyncio.get_running_loop()
    server = await loop.create_server(lambda: _Connection(stub), "127.0.0.1", 0, backlog=1024)
    print(server.sockets[0].getsockname()[1], flush=True)
    await server.serve_forever()


@dataclass(frozen=True)
class Running:
    """A stub in a process of its own."""

    port: int

    @property
    def base_url(self) -> str:
        """Where it is."""
        return f"http://127.0.0.1:{self.port}/v1"

    def books(self) -> dict[str, Any]:
        """What it did and what it billed."""
        with urllib.request.urlopen(f"http://127.0.0.1:{self.port}/books") as reply:
            return json.load(reply)


@contextlib.contextmanager
def running_stub(**options: Any) -> Generator[Running]:
    """Run a `Stub` with these options in a process of its own, on a free port of loopback."""
    command = [sys.executable, str(Path(__file__)), json.dumps(options)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        try:
            assert process.stdout is not None
            yield Running(int(process.stdout.readline()))
        finally:
            process.terminate()


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("options", nargs="?", default="{}", help="fields of Stub, as JSON")
    with contextlib.suppress(KeyboardInterrupt):
        asyncio.run(_serve(Stub(**json.loads(parser.parse_args().options))))
