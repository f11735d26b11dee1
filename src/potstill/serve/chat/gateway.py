"""The OpenAI chat-completions protocol before a teacher: an application moves in by its base URL.

At first every request is forwarded, byte for byte, and the pair is recorded. Once there is a
model, it answers what it is sure of in the same response shape, and the rest is forwarded. The
header ``x-potstill-answered-by`` says which of the two answered.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncGenerator, Awaitable, Callable, Mapping, Sequence
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import orjson

from potstill.data.example import Input, Prediction
from potstill.errors import MissingExtraError, PotstillError
from potstill.serve.chat.exchange import Application, Exchange, Pairs
from potstill.serve.chat.forward import Forwarder, Upstream
from potstill.serve.chat.log import ChatLog, Ear
from potstill.serve.chat.shape import ChatRequest, ChatShape, completion, pieces
from potstill.serve.contract import Answer, Served
from potstill.serve.redact import KeepingRules
from potstill.serve.refusal import Refusal
from potstill.spec.loading import LoadedTask
from potstill.teacher.budget import cost_of
from potstill.teacher.completion import read_completion
from potstill.teacher.form import form_of
from potstill.teacher.prices import price_of
from potstill.teacher.request import AttemptError, Reply

if TYPE_CHECKING:
    from starlette.routing import Router

ANSWERED_BY = b"x-potstill-answered-by"
MODEL = b"x-potstill-model"
DEFERRED = b"x-potstill-deferred"

_COMPLETIONS = "/v1/chat/completions"
_MODELS = "/v1/models"
_MOST_BODY_BYTES = 32 << 20


@dataclass(frozen=True, slots=True)
class ChatModel:
    """The task's own model, as chat requests meet it.

    Attributes:
        name: of the model.
        version: the first twelve digits of its checksum.
        predict: answers one input; raises a `PotstillError` where it cannot now.
    """

    name: str
    version: str
    predict: Callable[[Input], Awaitable[Prediction]]

    @property
    def label(self) -> str:
        """Name and version, as the response's ``model`` has them."""
        return f"{self.name}@{self.version}"


class ChatGateway:
    """Chat requests of one task: answered by its model, or forwarded to its teacher.

    Args:
        loaded: the task; its teacher has a ``base_url``.
        folder: gets a log of the forwarded pairs, a file for each day; None keeps nothing.
        model: the model of the moment; None where there is none yet.
        listed: models of this server, for the list of those that a client may name.
        observe: told of every answer to a request that the model was asked about.
        pass_on_keys: whether the client's key is the teacher's, where the task names none.
        prices: a price file that goes before the one that ships.
        most_body_bytes: the largest request.

    Raises:
        SpecError: the task's rules on chat or redaction cannot be used.
        TeacherError: the teacher has no address, or no key.
        StorageError: the folder may not be written.
        MissingExtraError: aiohttp is not installed.
    """

    def __init__(
        self,
        loaded: LoadedTask,
        folder: Path | None = None,
        *,
        model: Callable[[], ChatModel | None] = lambda: None,
        listed: Callable[[], Sequence[Mapping[str, Any]]] = tuple,
        observe: Callable[[Served], None] = lambda _: None,
        pass_on_keys: bool = True,
        prices: Path | None = None,
        most_body_bytes: int = _MOST_BODY_BYTES,
    ) -> None:
        task = loaded.task
        self.name = task.name
        self._shape = ChatShape(loaded)
        self._model = model
        self._listed = listed
        self._observe = observe
        self._most_body_bytes = most_body_bytes
        self._form = form_of(task.answer)
        rules = KeepingRules(task.serve)
        self._forwarder = Forwarder(loaded, pass_on_keys=pass_on_keys)
        assert task.teacher is not None, "whoever forwards has a teacher"
        self._price = price_of(task.teacher, file=prices)
        self._log = None
        if folder is not None:
            terms = task.teacher.terms
            self._log = ChatLog(folder, rules, endpoint=self._forwarder.host, terms=terms)

    def router(self) -> Router:
        """``POST /v1/chat/completions`` and ``GET /v1/models``; closes the gateway at its end."""
        try:
            from starlette.routing import Router
        except ImportError as error:
            raise MissingExtraError("starlette", "serve") from error
        from starlette.routing import Route

        @asynccontextmanager
        async def lifespan(_: object) -> AsyncGenerator[None]:
            yield
            await self.close()

        completions = Route(
            _COMPLETIONS, Application(_COMPLETIONS, self.complete), methods=["POST"]
        )
        models = Route(_MODELS, Application(_MODELS, self.models), methods=["GET"])
        return Router(routes=[completions, models], lifespan=lifespan)

    async def complete(self, exchange: Exchange) -> None:
        """Answer a chat request, or forward it."""
        body = await exchange.body(self._most_body_bytes)
        asked = self._shape.read(body)
        tried = None if asked is None else await self._try(asked, exchange.visit.timeout_s)
        if asked is not None and tried is not None and tried.content:
            await _answer(exchange, tried.content, tried.model, asked)
            self._tell(exchange, asked, tried, Answer(tried.guess, "model"))
            return
        await exchange.while_listening(self._forward(exchange, body, asked, tried))

    async def models(self, exchange: Exchange) -> None:
        """The models that a client may name: this server's, and those of the teacher."""
        others: list[Any] = []
        with suppress(Refusal, AttributeError, orjson.JSONDecodeError):
            async with self._forwarder.send("GET", "/models", exchange.headers) as upstream:
                if upstream.status == 200:
                    others = orjson.loads(await upstream.response.read()).get("data") or []
        await exchange.json(
            200, [], orjson.dumps({"object": "list", "data": [*self._listed(), *others]})
        )

    async def close(self) -> None:
        """Close the connections, and wait until everything is on disk."""
        await self._forwarder.close()
        if self._log is not None:
            await self._log.close()

    async def _try(self, asked: ChatRequest, timeout_s: float) -> _Tried | None:
        """What the model makes of a request; None where there is no model, or it is too busy."""
        model = self._model()
        if model is None:
            return None
        try:
            async with asyncio.timeout(timeout_s):
                guess = await model.predict(asked.value)
        except (PotstillError, TimeoutError):
            return None
        target = guess.answer
        content = None if target is None else self._shape.content(target, asked)
        return _Tried(model, guess, content)

    async def _forward(
        self, exchange: Exchange, body: bytes, asked: ChatRequest | None, tried: _Tried | None
    ) -> None:
        headers: Pairs = [(ANSWERED_BY, b"teacher")]
        if tried is not None and tried.guess.deferred is not None:
            headers.append((DEFERRED, tried.guess.deferred.encode()))
        began = time.perf_counter()
        path = f"/chat/completions?{exchange.query}" if exchange.query else "/chat/completions"
        async with self._forwarder.send("POST", path, exchange.headers, body) as upstream:
            reply = await _pass_back(exchange, upstream, headers)
        if asked is None or reply is None:
            return
        seconds = time.perf_counter() - began
        said = _read(reply)
        cost_usd = None if said is None else cost_of(said, self._price)
        if self._log is not None:
            self._log.keep(asked, reply, seconds=seconds, cost_usd=cost_usd)
        if tried is not None:
            target = None if said is None else self._form.read(said.text)
            answer = Answer(Prediction(target), "teacher", "teacher", cost_usd)
            self._tell(exchange, asked, tried, answer)

    def _tell(self, exchange: Exchange, asked: ChatRequest, tried: _Tried, answer: Answer) -> None:
        visit = exchange.visit
        visit.model, visit.version, visit.inputs = tried.model.name, tried.model.version, 1
        visit.values.append(asked.value)
        self._observe(
            Served(
                request=visit.id,
                model=visit.model,
                version=visit.version,
                value=asked.value,
                answer=answer,
                ms=visit.spent_ms,
                own=None if answer.prediction is tried.guess else tried.guess,
            )
        )


@dataclass(frozen=True, slots=True)
class _Tried:
    """What the model made of a request; no content where it is not sure enough."""

    model: ChatModel
    guess: Prediction
    content: str | None


async def _answer(exchange: Exchange, content: str, model: ChatModel, asked: ChatRequest) -> None:
    headers: Pairs = [(ANSWERED_BY, b"model"), (MODEL, model.label.encode())]
    if not asked.stream:
        await exchange.json(200, headers, completion(content, model.label))
        return
    kind = [(b"content-type", b"text/event-stream; charset=utf-8"), (b"cache-control", b"no-cache")]
    await exchange.begin(200, headers + kind)
    await exchange.piece(b"".join(pieces(content, model.label, usage=asked.usage)), last=True)


async def _pass_back(
    exchange: Exchange, upstream: Upstream, headers: Pairs
) -> dict[str, Any] | None:
    """Send the teacher's reply on; the chat completion that it was, if it was a whole one."""
    headers = upstream.headers + headers
    if not upstream.streams:
        content = await upstream.response.read()
        await exchange.whole(upstream.status, headers, content)
        return _object(content) if upstream.status == 200 else None
    await exchange.begin(upstream.status, headers)
    ear = Ear()
    async for piece in upstream.response.content.iter_any():
        ear.hear(piece)
        await exchange.piece(piece)
    await exchange.piece(b"", last=True)
    return ear.completion() if upstream.status == 200 else None


def _object(content: bytes) -> dict[str, Any] | None:
    try:
        value = orjson.loads(content)
    except orjson.JSONDecodeError:
        return None
    return value if isinstance(value, dict) else None


def _read(reply: dict[str, Any]) -> Reply | None:
    try:
        return read_completion(reply)
    except AttemptError:
        return None
