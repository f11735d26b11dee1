"""What is kept of forwarded chat requests: a log of chat completions, one JSONL file a day.

Its rows are ``{"id", "at", "endpoint", "seconds", "cost_usd", "terms", "request", "response"}``,
which `potstill.teacher.logs` reads: as inputs (``data.unlabeled``) and as recorded answers
(``teacher.answers``) of the next run. The last turn of a recorded request is the task's input
alone, without what `chat.pattern` leaves out.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterator, Mapping
from contextlib import suppress
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import Any

import orjson

from potstill.data.example import id_of, text_of
from potstill.errors import StorageError
from potstill.serve.chat.shape import ChatRequest
from potstill.serve.journal import Journal, Make, Scribe
from potstill.serve.redact import KeepingRules

_MOST_BYTES = 1 << 22
_KEPT = (
    "model",
    "messages",
    "temperature",
    "top_p",
    "seed",
    "max_tokens",
    "max_completion_tokens",
    "response_format",
)
"""Of a request; what else a client says (of its user, for one) is nobody's business here."""
_HEARD = ("content", "reasoning_content", "reasoning", "refusal")


class ChatLog:
    """Keeps pairs of requests and replies, as far as their owner allows.

    Args:
        folder: gets a file for each day.
        rules: what may be kept; without consent nothing is.
        endpoint: host that answers.
        terms: licence or terms-of-use id of the answers.

    Raises:
        StorageError: the folder may not be written.
    """

    def __init__(
        self, folder: Path, rules: KeepingRules, *, endpoint: str | None, terms: str | None
    ) -> None:
        self._rules = rules
        self._about = {"endpoint": endpoint, "terms": terms}
        self._scribe = Scribe(Journal(folder)) if rules.texts else None
        self._writing: set[asyncio.Task[None]] = set()

    def keep(
        self,
        asked: ChatRequest,
        reply: Mapping[str, Any],
        *,
        seconds: float,
        cost_usd: float | None,
    ) -> None:
        """Keep a pair; returns at once.

        Args:
            asked: the request.
            reply: the chat completion.
            seconds: wall time of the reply.
            cost_usd: its price; None is unknown.
        """
        if self._scribe is None or not self._rules.sampled(asked.value):
            return
        at = datetime.now(UTC).isoformat(timespec="milliseconds")
        facts = {"at": at, "seconds": round(seconds, 4), "cost_usd": cost_usd} | self._about
        make = partial(self._row, asked, reply, facts)
        writing = asyncio.create_task(_write(self._scribe, make))
        self._writing.add(writing)
        writing.add_done_callback(self._writing.discard)

    def _row(
        self, asked: ChatRequest, reply: Mapping[str, Any], facts: Mapping[str, Any]
    ) -> dict[str, Any]:
        text = self._rules.clean(text_of(asked.value))
        request = {key: asked.body[key] for key in _KEPT if key in asked.body}
        *before, last = request["messages"]
        request["messages"] = [*before, {**last, "content": text}]
        return {
            "id": id_of(text),
            **{key: value for key, value in facts.items() if value is not None},
            "request": self._rules.clean_json(request),
            "response": self._rules.clean_json(reply),
        }

    @property
    def dropped(self) -> int:
        """Pairs that the disk did not take."""
        return 0 if self._scribe is None else self._scribe.dropped

    async def close(self) -> None:
        """Wait until everything is on disk."""
        await asyncio.gather(*self._writing)
        if self._scribe is not None:
            await self._scribe.close()


class Ear:
    """Listens to a reply in pieces while it passes, and tells what it was as a whole."""

    def __init__(self) -> None:
        self._heard = bytearray()
        self._whole = True

    def hear(self, piece: bytes) -> None:
        """Take note of some bytes; a reply of more than a few megabytes is not remembered."""
        if self._whole and len(self._heard) + len(piece) <= _MOST_BYTES:
            self._heard += piece
        else:
            self._whole = False
            self._heard.clear()

    def completion(self) -> dict[str, Any] | None:
        """The chat completion that the pieces make; None where they are none, or not all."""
        frame: dict[str, Any] = {}
        message: dict[str, Any] = {"role": "assistant", "content": ""}
        reason = None
        for piece in _events(bytes(self._heard)):
            frame = {"id": piece.get("id"), "model": piece.get("model")} | frame
            if isinstance(piece.get("usage"), Mapping):
                frame["usage"] = piece["usage"]
            for choice in piece.get("choices") or ():
                delta = choice.get("delta") or {}
                for name in _HEARD:
                    if isinstance(delta.get(name), str):
                        message[name] = message.get(name, "") + delta[name]
                reason = choice.get("finish_reason") or reason
        if not self._whole or reason is None:
            return None
        choice = {"index": 0, "message": message, "finish_reason": reason}
        return {**frame, "object": "chat.completion", "choices": [choice]}


async def _write(scribe: Scribe, make: Make) -> None:
    with suppress(StorageError):  # counted as dropped; the caller has its answer already
        await scribe.write(make)


def _events(heard: bytes) -> Iterator[dict[str, Any]]:
    """The JSON objects of server-sent events."""
    for line in heard.splitlines():
        if not line.startswith(b"data:"):
            continue
        try:
            value = orjson.loads(line[5:])
        except orjson.JSONDecodeError:
            continue  # "[DONE]"
        if isinstance(value, dict):
            yield value
