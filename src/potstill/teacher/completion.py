"""The chat-completions protocol: a `Request` as its body, its answer as a `Reply`.

Endpoints, the server of a GGUF file and lines of a batch all speak it, each with liberties:
what is read here is what they agree on, and what is missing stays unknown.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from potstill.teacher.answer import split_thought
from potstill.teacher.request import AttemptError, Reply, Request, Rung
from potstill.teacher.structured import response_format, with_form

_FINISHED_AS = {
    "max_tokens": "length",
    "max_output_tokens": "length",
    "model_length": "length",
    "safety": "content_filter",
    "recitation": "content_filter",
    "prohibited_content": "content_filter",
}
"""Other words for the two reasons to finish that something follows from."""


def chat_body(request: Request, rung: Rung) -> dict[str, Any]:
    """The body of a chat completion, but for the model's name.

    Args:
        request: the question.
        rung: how to ask for structure, where the request has a schema.
    """
    body: dict[str, Any] = {
        "messages": with_form(request.messages, request.schema, rung),
        "max_tokens": request.max_tokens,
        "temperature": request.temperature,
    }
    form = response_format(request.schema, rung)
    if form is not None:
        body["response_format"] = form
    if request.logprobs:
        body |= {"logprobs": True, "top_logprobs": request.logprobs}
    return body


def read_completion(body: Any) -> Reply:
    """What a chat completion says.

    Args:
        body: the parsed JSON.

    Raises:
        AttemptError: ``unreadable``: this is no chat completion. Whether it was charged is
            unknown.
    """
    choice = _first_choice(body)
    message = choice.get("message") if isinstance(choice, Mapping) else None
    if not isinstance(choice, Mapping) or not isinstance(message, Mapping):
        raise AttemptError("unreadable", "the reply is no chat completion", billed=None)
    inline, text = split_thought(_words(message.get("content")))
    given = message.get("reasoning_content") or message.get("reasoning")
    sent, received, cached = _usage(body.get("usage"))
    return Reply(
        text=text,
        thought=given.strip() or inline if isinstance(given, str) else inline,
        finish_reason=_finish_reason(choice, message),
        prompt_tokens=sent,
        completion_tokens=received,
        cached_tokens=cached,
        logprobs=_logprobs(choice.get("logprobs"), text),
        model=_name(body.get("model")),
        request=_name(body.get("id")),
    )


def _first_choice(body: Any) -> Any:
    choices = body.get("choices") if isinstance(body, Mapping) else None
    return choices[0] if isinstance(choices, Sequence) and choices else None


def _words(content: object) -> str:
    """A turn's content, which may be a string, a list of parts, or nothing."""
    if isinstance(content, str):
        return content
    if isinstance(content, Sequence):
        parts = (part.get("text") for part in content if isinstance(part, Mapping))
        return "".join(part for part in parts if isinstance(part, str))
    return ""


def _finish_reason(choice: Mapping[str, Any], message: Mapping[str, Any]) -> str | None:
    if message.get("refusal"):
        return "content_filter"
    reason = choice.get("finish_reason")
    if not isinstance(reason, str):
        return None
    return _FINISHED_AS.get(reason.lower(), reason)


def _usage(usage: object) -> tuple[int | None, int | None, int | None]:
    """Tokens sent, received and cached.

    Some endpoints count a thought in the total alone; it was charged as tokens received.
    """
    if not isinstance(usage, Mapping):
        return None, None, None
    sent, received = _count(usage.get("prompt_tokens")), _count(usage.get("completion_tokens"))
    total = _count(usage.get("total_tokens"))
    if sent is not None and received is not None and total is not None:
        received = max(received, total - sent)
    details = usage.get("prompt_tokens_details")
    cached = _count(details.get("cached_tokens")) if isinstance(details, Mapping) else None
    if cached is None:
        cached = _count(usage.get("prompt_cache_hit_tokens"))
    if cached is not None and sent is not None:
        cached = min(cached, sent)
    return sent, received, cached


def _count(value: object) -> int | None:
    return value if isinstance(value, int) and not isinstance(value, bool) and value >= 0 else None


def _name(value: object) -> str | None:
    return value if isinstance(value, str) and value else None


def _logprobs(given: object, text: str) -> tuple[Mapping[str, float], ...] | None:
    """For each token of the answer its alternatives, the token that was taken first.

    What stands before the answer (a thought, a fence) has tokens as well: those that make up
    `text` are found by their bytes.
    """
    content = given.get("content") if isinstance(given, Mapping) else None
    if not isinstance(content, Sequence) or not content:
        return None
    try:
        pieces = [_token_bytes(token) for token in content]
        start = b"".join(pieces).rfind(text.encode())
        end = start + len(text.encode())
        found: list[Mapping[str, float]] = []
        place = 0
        for token, piece in zip(content, pieces, strict=True):
            if place < end and place + len(piece) > start:
                found.append(_alternatives(token))
            place += len(piece)
    except (KeyError, TypeError, ValueError, AttributeError):
        return None
    return tuple(found) if start >= 0 and found else None


def _token_bytes(token: Mapping[str, Any]) -> bytes:
    spelt = token.get("bytes")
    return bytes(spelt) if spelt is not None else token["token"].encode()


def _alternatives(token: Mapping[str, Any]) -> dict[str, float]:
    alternatives = {token["token"]: float(token["logprob"])}
    for other in token.get("top_logprobs") or ():
        alternatives.setdefault(other["token"], float(other["logprob"]))
    return alternatives
