"""Logs of chat completions: yesterday's production traffic as answers, and as inputs.

One JSON object a line. Three shapes are read, whichever way a gateway or provider nests them:

- a request with its response: ``{"request": {…}, "response": {…}}``, also spelt
  ``request_body`` and ``response_body``, or ``messages`` and ``choices`` in the row itself;
- a provider's batch output: ``{"custom_id": …, "response": {"status_code": 200, "body": {…}}}``;
- a batch input, which the output is joined to: ``{"custom_id": …, "body": {…}}``.

The rule: **the input is the content of the last user message of the request** (its text parts
joined by newlines), the answer is the message of the first choice. The thought is its
``reasoning_content`` (or ``reasoning``), or what stands in ``<think>…</think>``. A completion
that ended with ``finish_reason: length`` is never read as an answer.
"""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import orjson

from potstill.data import Example, Source, id_of
from potstill.data.reading import cell_text, read_rows
from potstill.errors import DataError
from potstill.teacher.answer import Fault, split_thought

_REQUESTS = ("request", "request_body", "body")
_RESPONSES = ("response", "response_body")


@dataclass(frozen=True, slots=True, kw_only=True)
class Exchange:
    """A request, a response, or both, as one line of a log tells it.

    Attributes:
        id: the caller's id of the row (``custom_id`` or ``id``), if any.
        text: the input; None in a line that holds the response alone.
        answered: whether the line holds a response, be it a failed one.
        raw: the answer; empty where there is none.
        fault: why the answer must not be read.
        reasoning: the thought.
        model: the model that was asked for.
        facts: seconds, cost and tokens of the exchange, as `Answer` names them.
    """

    id: str | None
    text: str | None
    answered: bool
    raw: str = ""
    fault: Fault | None = None
    reasoning: str | None = None
    model: str | None = None
    facts: Mapping[str, Any]


def is_log(path: Path) -> bool:
    """Whether the first row of a file is a line of a chat log.

    Raises:
        DataError: the file is missing, or its first row cannot be read.
    """
    first = next(read_rows(path), None)
    return first is not None and exchange_of(first.fields) is not None


def examples_from_logs(
    paths: Sequence[Path], *, terms: str | None = None, others: Iterable[Example] = ()
) -> list[Example]:
    """The inputs of logs as unlabelled examples, each text once.

    An id of a log is often no more than a number within its file or its conversation. One
    that stands for several texts names none of them: those rows are named by their texts.

    Args:
        paths: logs that hold requests.
        terms: licence or terms-of-use id of the texts.
        others: examples from elsewhere, whose ids are theirs.

    Raises:
        DataError: a line cannot be read, or no line of a file holds a request with a user
            message.
    """
    found: dict[str, Example] = {}
    texts: defaultdict[str, set[str]] = defaultdict(set)
    for example in others:
        texts[example.id].add(id_of(example.input))
    for path in paths:
        asked = False
        source = Source(
            kind="dataset", name=path.name, contributed=("input",), stage="read", terms=terms
        )
        for row in read_rows(path):
            exchange = exchange_of(row.fields)
            if exchange is None or exchange.text is None or not exchange.text.strip():
                continue
            asked = True
            key = id_of(exchange.text)
            name = exchange.id or key
            texts[name].add(key)
            found.setdefault(key, Example(id=name, input=exchange.text, sources=(source,)))
        if not asked:
            raise DataError(
                "no line holds a request with a user message.",
                where=str(path),
                hint="A batch output holds answers alone; name the batch's input file instead.",
            )
    return [
        example if len(texts[example.id]) == 1 else replace(example, id=key)
        for key, example in found.items()
    ]


def exchange_of(fields: Mapping[str, Any]) -> Exchange | None:
    """A row of a log as an exchange; None where the row is none."""
    request = _body(fields, _REQUESTS, "messages")
    response = _body(fields, _RESPONSES, "choices")
    batch_output = "custom_id" in fields and ("response" in fields or "error" in fields)
    if request is None and response is None and not batch_output:
        return None
    answered = response is not None or any(key in fields for key in (*_RESPONSES, "error"))
    request, reply = request or {}, response or {}
    name = fields.get("custom_id", fields.get("id") if "choices" not in fields else None)
    raw, reasoning, fault = _answer(reply) if answered else ("", None, None)
    asked, replied = request.get("model") or fields.get("model"), reply.get("model")
    facts = measures(fields, reply.get("usage"))
    facts["revision"] = str(replied) if asked and replied and replied != asked else None
    facts["request"] = str(reply["id"]) if reply.get("id") else None
    model = asked or replied
    return Exchange(
        id=cell_text(name),
        text=_last_user_message(request.get("messages")),
        answered=answered,
        raw=raw,
        fault=fault,
        reasoning=reasoning,
        model=str(model) if model else None,
        facts=facts,
    )


def measures(fields: Mapping[str, Any], usage: object = None) -> dict[str, Any]:
    """Seconds, cost, tokens and host of a row; what is not recorded is None.

    Args:
        fields: a row with ``seconds`` (or ``latency_ms``, ``duration_ms``), ``cost_usd`` (or
            ``response_cost``), ``prompt_tokens``, ``completion_tokens``, ``endpoint``.
        usage: the ``usage`` object of a response, which is believed for what the row lacks.
    """
    used: Mapping[str, Any] = usage if isinstance(usage, Mapping) else {}
    ms = _figure(fields.get("latency_ms", fields.get("duration_ms")))
    seconds = _figure(fields.get("seconds"))
    cost = _figure(fields.get("cost_usd", fields.get("response_cost", used.get("cost"))))
    tokens = {
        key: _figure(fields.get(key, used.get(key)))
        for key in ("prompt_tokens", "completion_tokens")
    }
    return {
        "seconds": seconds if seconds is not None or ms is None else ms / 1000,
        "cost_usd": cost,
        "endpoint": _host(fields.get("endpoint", fields.get("base_url", fields.get("url")))),
        **{key: None if number is None else int(number) for key, number in tokens.items()},
    }


def _body(fields: Mapping[str, Any], keys: tuple[str, ...], mark: str) -> Mapping[str, Any] | None:
    """The object that holds `mark`: under one of the keys, perhaps in its ``body``, or the row."""
    for key in keys:
        value = fields.get(key)
        if isinstance(value, str):  # some gateways log bodies as text
            try:
                value = orjson.loads(value)
            except orjson.JSONDecodeError:
                continue
        for body in (value, value.get("body") if isinstance(value, Mapping) else None):
            if isinstance(body, Mapping) and isinstance(body.get(mark), list):
                return body
    return fields if isinstance(fields.get(mark), list) else None


def _answer(reply: Mapping[str, Any]) -> tuple[str, str | None, Fault | None]:
    """The first choice as (answer, thought, fault)."""
    choices = reply.get("choices")
    choice = choices[0] if choices else None
    if not isinstance(choice, Mapping):
        return "", None, "failed"
    message = choice.get("message")
    message = message if isinstance(message, Mapping) else {}
    inline, raw = split_thought(_text(message.get("content")) or "")
    thought = message.get("reasoning_content") or message.get("reasoning") or inline
    fault: Fault | None = None
    if choice.get("finish_reason") == "length":
        fault = "cut_off"
    elif not raw:
        fault = "no_answer"
    return raw, thought if isinstance(thought, str) else None, fault


def _last_user_message(messages: object) -> str | None:
    if not isinstance(messages, list):
        return None
    for message in reversed(messages):
        if isinstance(message, Mapping) and message.get("role") == "user":
            return _text(message.get("content"))
    return None


def _text(content: object) -> str | None:
    """A message's content, which is a text or a list of parts; images and the like are left out."""
    if isinstance(content, str):
        return content
    if not isinstance(content, list):
        return None
    parts = [part.get("text") for part in content if isinstance(part, Mapping)]
    return "\n".join(part for part in parts if isinstance(part, str)) or None


def _figure(value: object) -> float | None:
    """A number of zero or more; None for anything else, an empty cell for one."""
    if isinstance(value, bool) or not isinstance(value, str | int | float):
        return None
    try:
        number = float(value)
    except ValueError:
        return None
    return number if math.isfinite(number) and number >= 0 else None


def _host(url: object) -> str | None:
    """The host alone, so that no credentials in an address reach the lineage."""
    try:
        if not isinstance(url, str):
            return None
        return urlsplit(url if "//" in url else f"//{url}").hostname
    except ValueError:
        return None
