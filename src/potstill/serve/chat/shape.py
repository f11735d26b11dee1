"""Chat requests as inputs of the task, and its answers as chat completions.

A request has the task's shape when its last turn is a user's text that `chat.pattern` fits, and
when it asks for nothing that an answer cannot be: no tools, no second choice, no sound, no
log-probabilities.
"""

from __future__ import annotations

import re
import secrets
import string
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import orjson

from potstill.data.composed import shown
from potstill.data.example import Input, Target, Text, labels_of, text_of
from potstill.data.extraction import Extraction
from potstill.errors import SpecError
from potstill.spec.loading import LoadedTask

_MOST_BYTES = 1 << 20
"""A longer request is no text to be answered here, and reading it would hold up all others."""
_BEYOND_A_LABEL = (
    "tools",
    "functions",
    "logprobs",
    "top_logprobs",
    "audio",
    "web_search_options",
)
_FIELDS = {
    "classification": ("label", "json"),
    "multilabel": ("label", "json"),
    "extraction": ("json",),
    "generation": ("text", "json"),
}
"""What an answer may hold, by the type of the task; the first is the answer unless given."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ChatRequest:
    """A chat request that has the task's shape.

    Attributes:
        value: the task's input.
        body: the request, parsed.
        stream: whether the answer is wanted in pieces.
        usage: whether the last piece shall tell the tokens.
        json: whether only JSON is wanted as an answer.
    """

    value: Input
    body: Mapping[str, Any]
    stream: bool
    usage: bool
    json: bool


class ChatShape:
    """Reads a task's chat requests, and writes its answers.

    Args:
        loaded: the task.

    Raises:
        SpecError: the pattern is no regular expression, its groups are not the task's fields,
            or the answer has other fields than ``{label}``, ``{text}`` and ``{json}``.
    """

    def __init__(self, loaded: LoadedTask) -> None:
        chat = loaded.task.serve.chat
        columns = loaded.task.data.columns.input
        self._fields = () if isinstance(columns, str) else tuple(columns)
        self._pattern = _pattern(loaded, chat.pattern, self._fields)
        self._system = _compiled(loaded, "system", chat.system)
        fields = _FIELDS[loaded.task.type]
        self._answer = _template(loaded, chat.answer or f"{{{fields[0]}}}", fields)

    def read(self, content: bytes) -> ChatRequest | None:
        """The input that a chat request holds; None where it has not the task's shape."""
        if len(content) > _MOST_BYTES:
            return None
        try:
            body = orjson.loads(content)
        except orjson.JSONDecodeError:
            return None
        if not isinstance(body, Mapping) or any(body.get(name) for name in _BEYOND_A_LABEL):
            return None
        if body.get("n") not in (None, 1) or body.get("modalities") not in (None, ["text"]):
            return None
        value = self._value(body.get("messages"))
        if value is None:
            return None
        form, options = body.get("response_format"), body.get("stream_options")
        return ChatRequest(
            value=value,
            body=body,
            stream=body.get("stream") is True,
            usage=isinstance(options, Mapping) and options.get("include_usage") is True,
            json=isinstance(form, Mapping) and form.get("type") != "text",
        )

    def content(self, target: Target, asked: ChatRequest) -> str | None:
        """A target as the content of a reply; None where it is not what was asked for."""
        match target:
            case Text(text):
                content = self._answer.format(text=text, json=_json(text))
            case Extraction(unsure=unsure) if unsure:
                return None
            case Extraction():
                content = self._answer.format(json=_json(shown(target)))
            case _:
                label = ", ".join(labels_of(target))
                content = self._answer.format(label=label, json=_json(target))
        if asked.json:
            try:
                orjson.loads(content)
            except orjson.JSONDecodeError:
                return None
        return content

    def _value(self, messages: object) -> Input | None:
        if not isinstance(messages, list) or not messages:
            return None
        last = messages[-1]
        if not isinstance(last, Mapping) or last.get("role") != "user":
            return None
        text = _text(last.get("content"))
        if text is None or not self._system_fits(messages):
            return None
        if self._pattern is not None:
            found = self._pattern.search(text)
            if found is None:
                return None
            parts = {name: part or "" for name, part in found.groupdict().items()}
            if self._fields:
                value: Input = {name: parts[name].strip() for name in self._fields}
            else:
                value = parts["text"].strip()
        else:
            value = text.strip()
        return value if text_of(value).strip() else None

    def _system_fits(self, messages: list[Any]) -> bool:
        if self._system is None:
            return True
        said = [
            _text(message.get("content")) or ""
            for message in messages
            if isinstance(message, Mapping) and message.get("role") in ("system", "developer")
        ]
        return self._system.search("\n".join(said)) is not None


def completion(content: str, model: str) -> bytes:
    """A whole chat completion with one choice."""
    message = {"role": "assistant", "content": content, "refusal": None}
    choice = {"index": 0, "message": message, "logprobs": None, "finish_reason": "stop"}
    return orjson.dumps(_frame("chat.completion", model) | {"choices": [choice], "usage": _USAGE})


def pieces(content: str, model: str, *, usage: bool) -> Iterator[bytes]:
    """The same as server-sent events.

    Args:
        content: of the reply.
        model: who answers.
        usage: whether the last piece tells the tokens.
    """
    frame = _frame("chat.completion.chunk", model)
    told: dict[str, Any] = {"usage": None} if usage else {}
    for delta, reason in (
        ({"role": "assistant", "content": ""}, None),
        ({"content": content}, None),
        ({}, "stop"),
    ):
        choice = {"index": 0, "delta": delta, "logprobs": None, "finish_reason": reason}
        yield event(frame | {"choices": [choice]} | told)
    if usage:
        yield event(frame | {"choices": [], "usage": _USAGE})
    yield b"data: [DONE]\n\n"


def event(value: Mapping[str, Any]) -> bytes:
    """A JSON object as one server-sent event."""
    return b"data: " + orjson.dumps(value) + b"\n\n"


_USAGE = {"prompt_tokens": 0, "completion_tokens": 0, "total_tokens": 0}
"""No token of the teacher was used."""


def _frame(kind: str, model: str) -> dict[str, Any]:
    name = f"chatcmpl-{secrets.token_hex(12)}"
    return {"id": name, "object": kind, "created": int(time.time()), "model": model}


def _text(content: object) -> str | None:
    """A turn that is nothing but text; an image beside it makes it something else."""
    if isinstance(content, str):
        return content
    if not isinstance(content, list) or not content:
        return None
    parts = [part.get("text") if isinstance(part, Mapping) else None for part in content]
    if not all(isinstance(part, str) for part in parts):
        return None
    return "\n".join(part for part in parts if part is not None)


def _pattern(
    loaded: LoadedTask, pattern: str | None, fields: tuple[str, ...]
) -> re.Pattern[str] | None:
    compiled = _compiled(loaded, "pattern", pattern)
    if compiled is None:
        return None
    wanted = fields or ("text",)
    missing = [name for name in wanted if name not in compiled.groupindex]
    if missing:
        raise SpecError(
            f"'serve.chat.pattern' has no group {missing[0]!r}.",
            where=_where(loaded, "pattern"),
            hint=f"Mark the part that is the input: (?P<{missing[0]}>.+)",
        )
    return compiled


def _compiled(loaded: LoadedTask, key: str, pattern: str | None) -> re.Pattern[str] | None:
    if pattern is None:
        return None
    try:
        return re.compile(pattern, re.DOTALL)
    except re.error as error:
        raise SpecError(
            f"'serve.chat.{key}' is no regular expression ({error}).",
            where=_where(loaded, key),
            hint="Mend it, or leave it out.",
        ) from error


def _json(value: Any) -> str:
    return orjson.dumps(value).decode()


def _template(loaded: LoadedTask, answer: str, fields: tuple[str, ...]) -> str:
    try:
        # Whole replacement fields: "{label.x}", "{label!r}" and "{label:9}" are none of ours.
        parts = list(string.Formatter().parse(answer))
        sound = all(
            name is None or (name in fields and not form and not turn)
            for _, name, form, turn in parts
        )
    except ValueError:
        parts, sound = [], False
    if not sound or not any(name for _, name, _, _ in parts):
        raise SpecError(
            f"'serve.chat.answer' must hold {' or '.join(f'{{{name}}}' for name in fields)}, "
            "and no other field.",
            where=_where(loaded, "answer"),
            hint="Braces of the answer itself are doubled: '{{\"answer\": {json}}}'.",
        )
    return answer


def _where(loaded: LoadedTask, key: str) -> str:
    for path in (("serve", "chat", key), ("serve", "chat"), ("serve",)):
        if path in loaded.places:
            return loaded.places[path]
    return str(loaded.path)
