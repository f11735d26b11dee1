"""A teacher that speaks chat completions, streaming included, and remembers what it was sent."""

from __future__ import annotations

import asyncio
import contextlib
import json
import threading
import time
from collections.abc import AsyncIterator, Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import openai
import uvicorn
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response, StreamingResponse
from starlette.routing import Route

from potstill.data import Prediction
from potstill.serve.chat import ChatGateway, ChatModel
from potstill.serve.contract import Served
from potstill.spec.loading import LoadedTask, load_task

SURE = "my card was charged twice"
UNSURE = "is this a loan or not"
ASKED: list[Any] = [
    {"role": "system", "content": "You label texts."},
    {"role": "user", "content": UNSURE},
]


@contextlib.contextmanager
def serving(app: Any) -> Iterator[str]:
    """Serve an application on a free port of loopback until the block ends; its address."""
    server = uvicorn.Server(
        uvicorn.Config(app, port=0, log_level="error", timeout_graceful_shutdown=2)
    )
    thread = threading.Thread(target=server.run)
    thread.start()
    try:
        while not server.started:
            assert thread.is_alive()
            threading.Event().wait(0.01)
        yield f"http://127.0.0.1:{server.servers[0].sockets[0].getsockname()[1]}"
    finally:
        server.should_exit = True
        thread.join()


@dataclass
class ChatTeacher:
    """How it answers, and what it was sent.

    Attributes:
        label: content of each reply, or what makes it of the last turn's.
        refusal: status, headers and body in place of a reply.
        pause_s: between the pieces of a stream, or before a whole reply.
        cut: whether a stream ends in the middle.
        bodies: what came in, byte for byte.
        headers: of each request.
        hung_up: set when a client went away before its reply was out.
    """

    label: str | Callable[[str], str] = "loans"
    refusal: tuple[int, dict[str, str], Any] | None = None
    pause_s: float = 0.0
    cut: bool = False
    bodies: list[bytes] = field(default_factory=list)
    headers: list[dict[str, str]] = field(default_factory=list)
    hung_up: threading.Event = field(default_factory=threading.Event)

    def app(self) -> Starlette:
        """The application."""
        return Starlette(
            routes=[
                Route("/v1/chat/completions", self._complete, methods=["POST"]),
                Route("/v1/models", self._models),
            ]
        )

    async def _models(self, request: Request) -> Response:
        return JSONResponse({"object": "list", "data": [{"id": "big", "object": "model"}]})

    async def _complete(self, request: Request) -> Response:
        body = await request.body()
        self.bodies.append(body)
        self.headers.append(dict(request.headers))
        if self.refusal is not None:
            status, headers, told = self.refusal
            return JSONResponse(told, status, headers)
        asked = json.loads(body)
        label = self.label
        if callable(label):
            label = label(asked["messages"][-1]["content"])
        if asked.get("stream"):
            return StreamingResponse(self._pieces(label), media_type="text/event-stream")
        await self._wait(request)
        message = {"role": "assistant", "content": label}
        usage = {"prompt_tokens": 100, "completion_tokens": 10, "total_tokens": 110}
        choice = {"index": 0, "message": message, "finish_reason": "stop"}
        return JSONResponse(
            {"id": "up-1", "object": "chat.completion", "created": 1, "model": "big-2026"}
            | {"choices": [choice], "usage": usage}
        )

    async def _wait(self, request: Request) -> None:
        waited = 0.0
        while waited < self.pause_s:
            await asyncio.sleep(0.02)
            waited += 0.02
            if await request.is_disconnected():
                self.hung_up.set()
                return

    async def _pieces(self, label: str) -> AsyncIterator[bytes]:
        half = len(label) // 2
        deltas: list[dict[str, str]] = [
            {"role": "assistant", "content": ""},
            {"content": label[:half]},
            {"content": label[half:]},
            {},
        ]
        try:
            for place, delta in enumerate(deltas):
                choice = {"index": 0, "delta": delta, "finish_reason": None if delta else "stop"}
                frame = {"id": "up-2", "object": "chat.completion.chunk", "created": 1}
                yield _event(frame | {"model": "big-2026", "choices": [choice]})
                await asyncio.sleep(self.pause_s)
                if self.cut and place == 1:
                    raise RuntimeError("cut")
            yield b"data: [DONE]\n\n"
        except asyncio.CancelledError:
            self.hung_up.set()
            raise


def _event(value: dict[str, Any]) -> bytes:
    return b"data: " + json.dumps(value).encode() + b"\n\n"


def task_at(folder: Path, base_url: str, more: str = "", teacher: str = "") -> LoadedTask:
    path = folder / "task.yaml"
    path.write_text(
        f"""\
kind: task
version: 1
name: topics
type: classification
labels: [cards, loans, accounts]
data: {{gold: gold.jsonl}}
teacher:
  model: big
  base_url: {base_url}
  terms: example-terms
  price: {{input_usd_per_million: 2.0, output_usd_per_million: 8.0}}
  {teacher or "timeout_s: 10"}
{more}
""",
        encoding="utf-8",
    )
    return load_task(path, check_files=False)


class Place:
    """A gateway that is served, and what it told."""

    def __init__(self, url: str, served: list[Served]) -> None:
        self.url = f"{url}/v1"
        self.served = served

    def client(self, **options: Any) -> openai.OpenAI:
        return openai.OpenAI(
            base_url=self.url, **({"api_key": "sk-of-the-client", "max_retries": 0} | options)
        )


@contextlib.contextmanager
def gateway(loaded: LoadedTask, folder: Path | None = None, **options: Any) -> Iterator[Place]:
    served: list[Served] = []
    chat = ChatGateway(loaded, folder, observe=served.append, **options)

    with serving(chat.router()) as url:
        yield Place(url, served)


def rows(folder: Path) -> list[dict[str, Any]]:
    """What was recorded, once the writing is done."""
    until = time.monotonic() + 5
    while time.monotonic() < until:
        found = [
            json.loads(line)
            for path in sorted((folder / "chat").glob("*.jsonl"))
            for line in path.read_text().splitlines()
        ]
        if found:
            return found
        time.sleep(0.01)
    return []


async def _decide(value: Any) -> Prediction:
    if "card" in value:
        return Prediction("cards", 0.97)
    return Prediction("loans", 0.4, deferred="unsure")


MODEL = ChatModel("topics", "0123456789ab", _decide)


class Upstream:
    """A served teacher that can be exchanged for another."""

    def __init__(self) -> None:
        self.teacher = ChatTeacher()
        self.url = ""

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        await self.teacher.app()(scope, receive, send)

    @contextlib.contextmanager
    def places(self, folder: Path) -> Iterator[Callable[..., Place]]:
        """Makes a gateway before the teacher; with consent, and records in ``folder/chat``."""
        with contextlib.ExitStack() as stack:

            def make(
                more: str = "serve: {consent: true}", teacher: str = "", **options: Any
            ) -> Place:
                loaded = task_at(folder, self.url, more, teacher)
                return stack.enter_context(gateway(loaded, folder / "chat", **options))

            yield make
