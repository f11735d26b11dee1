"""Structured answers: asked for on the strictest rung that an endpoint obeys, read strictly.

The ladder has three rungs: the endpoint enforces a JSON schema; it promises some JSON object,
and the prompt says which; or the prompt alone asks for JSON between ``<answer>`` tags. What
comes back is read the same way on each: as JSON; as JSON in a fence, in tags or amid words; by
bounded repair last. Whatever is found must fulfil the schema; nothing is guessed beyond that.
"""

from __future__ import annotations

import functools
import re
from collections.abc import Awaitable, Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import orjson

from potstill.errors import MissingExtraError, TeacherError
from potstill.teacher.request import AttemptError, Fault, Message, Reply, Request, Rung

_FENCE = re.compile(r"```(?:json)?\s*(.*?)```", re.DOTALL | re.IGNORECASE)
_TAGGED = re.compile(r"<answer>(.*?)</answer>", re.DOTALL | re.IGNORECASE)
_SEPARATORS = re.compile(r"[\s_-]+")
_MOST_REPAIRED_CHARACTERS = 20_000
_QUOTED_CHARACTERS = 80

_PROBE_WORDS = ["vellichor", "quincunx"]
_PROBE_TOKENS = 1024
"""Enough for a model that thinks before it says one word; others stop long before."""


@dataclass(frozen=True, slots=True)
class Reading:
    """What was read out of a reply.

    Attributes:
        value: the answer, which fulfils the schema; None where there is a fault.
        fault: why there is no value.
        detail: a sentence for a person, and for the model that is asked again.
    """

    value: Any
    fault: Fault | None = None
    detail: str = ""


_UNREAD = {
    "length": Reading(None, "cut_off", "the reply was cut off at the token limit"),
    "content_filter": Reading(None, "content_filtered", "the endpoint withheld the answer"),
}


def with_form(
    messages: Sequence[Message], schema: Mapping[str, Any] | None, rung: Rung
) -> list[Message]:
    """The conversation, with the sentences that ask for a structured answer on this rung.

    They end the first turn where that is a system turn, so that they are part of the prefix
    which an endpoint caches; otherwise they begin a system turn of their own.

    Args:
        messages: the conversation.
        schema: JSON schema of the answer; None asks for plain text.
        rung: the endpoint that enforces a schema itself is told nothing.
    """
    if schema is None or rung == "schema":
        return list(messages)
    wanted = f"one JSON object that fulfils this JSON schema: {_written(schema)}"
    if rung == "json":
        form = f"Answer with {wanted}"
    else:
        form = (
            f"Give your answer as {wanted}\n"
            "Write that object between <answer> and </answer>, and nothing after it."
        )
    if messages and messages[0]["role"] == "system":
        first: Message = {"role": "system", "content": f"{messages[0]['content']}\n\n{form}"}
        return [first, *messages[1:]]
    return [{"role": "system", "content": form}, *messages]


def response_format(schema: Mapping[str, Any] | None, rung: Rung) -> dict[str, Any] | None:
    """The ``response_format`` parameter of a rung; None where it takes none."""
    if schema is None or rung == "tagged":
        return None
    if rung == "json":
        return {"type": "json_object"}
    form = {"name": "answer", "strict": _is_strict(schema), "schema": schema}
    return {"type": "json_schema", "json_schema": form}


def read_answer(reply: Reply, schema: Mapping[str, Any] | None, rung: Rung) -> Reading:
    """The value that a reply states, checked against the schema.

    Args:
        reply: what came back.
        schema: JSON schema of the answer; without one the text is the value.
        rung: how it was asked for.

    Raises:
        MissingExtraError: jsonschema or json-repair is not installed.
    """
    if reply.finish_reason in _UNREAD:
        return _UNREAD[reply.finish_reason]
    if not reply.text.strip():
        return Reading(None, "empty", "the reply is empty")
    if schema is None:
        return Reading(reply.text)
    outside = None
    for value in _readings(reply.text, schema):
        settled = _settled(value, schema)
        trouble = _trouble(settled, schema)
        if trouble is None:
            return Reading(settled)
        outside = outside or trouble
    if outside is not None:
        return Reading(None, "outside_schema", outside)
    asked = " between <answer> tags" if rung == "tagged" else ""
    return Reading(None, "invalid_json", f"the reply holds no JSON{asked}: {_quoted(reply.text)}")


async def probe(
    rungs: Sequence[Rung], complete: Callable[[Request, Rung], Awaitable[Reply]]
) -> Rung:
    """The strictest rung that an endpoint obeys, found by one tiny request a rung.

    It is asked for a colour and a schema allows two words that are none: an endpoint that
    ignores the form answers with a colour.

    Args:
        rungs: those worth trying, strictest first.
        complete: makes one attempt, and writes it into the ledger.

    Raises:
        AttemptError: the endpoint cannot be asked at all.
        TeacherError: it obeys no rung.
    """
    said = "nothing"
    for rung in rungs:
        request = probe_request(rung)
        try:
            reply = await complete(request, rung)
        except AttemptError as error:
            # "Refused" is how an endpoint says that it does not know this response_format.
            if error.fatal or error.fault not in ("refused", "unreadable", "server_error"):
                raise
            said = error.detail
            continue
        if read_answer(reply, request.schema, rung).fault is None:
            return rung
        said = _quoted(reply.text)
    raise TeacherError(
        f"the teacher keeps to no form of answer: asked for one of two words, it gave {said}.",
        hint="Use a model that follows instructions, or an endpoint that enforces a JSON schema.",
    )


def probe_request(rung: Rung) -> Request:
    """The question of `probe` for one rung."""
    schema = {
        "type": "object",
        "properties": {"word": {"type": "string", "enum": _PROBE_WORDS}},
        "required": ["word"],
        "additionalProperties": False,
    }
    question: Message = {"role": "user", "content": "What colour is a clear sky at noon?"}
    return Request(
        id=f"probe-{rung}",
        purpose="probe",
        messages=(question,),
        max_tokens=_PROBE_TOKENS,
        schema=schema,
    )


def _readings(text: str, schema: Mapping[str, Any]) -> Iterator[Any]:
    """What a reply may state, the plainest reading first."""
    passages = list(dict.fromkeys(_passages(text)))
    parsed = False
    for passage in passages:
        try:
            yield orjson.loads(passage)
        except orjson.JSONDecodeError:
            continue
        parsed = True
        if passage == passages[0]:
            break
    for passage in passages:
        bare = _bare_value(passage, schema)
        if bare is not None:
            yield bare
    if parsed:
        return
    for passage in passages:
        if passage[:1] in ("{", "[") and len(passage) <= _MOST_REPAIRED_CHARACTERS:
            yield _repaired(passage)


def _passages(text: str) -> Iterator[str]:
    """Where the JSON of a reply may stand; what comes last was meant."""
    yield text.strip()
    for pattern in (_TAGGED, _FENCE):
        inside = pattern.findall(text)
        if inside:
            fenced = _FENCE.fullmatch(inside[-1].strip())
            yield (fenced[1] if fenced else inside[-1]).strip()
    begin, end = text.find("{"), text.rfind("}")
    if 0 <= begin < end:
        yield text[begin : end + 1]


def _bare_value(passage: str, schema: Mapping[str, Any]) -> dict[str, Any] | None:
    """``card`` for ``{"label": "card"}``, where the schema wants one choice and no more."""
    properties = schema.get("properties", {})
    if len(properties) != 1:
        return None
    ((name, wanted),) = properties.items()
    if "enum" not in wanted:
        return None
    settled = _settled(passage.strip("\"'`*. \n"), wanted)
    return {name: settled} if settled in wanted["enum"] else None


def _repaired(passage: str) -> Any:
    try:
        from json_repair import repair_json
    except ImportError as error:
        raise MissingExtraError("json_repair", "live") from error
    return repair_json(passage, return_objects=True, skip_json_loads=True)


def _settled(value: Any, schema: Mapping[str, Any]) -> Any:
    """The value, with each choice spelt as the schema spells it.

    ``Credit Card`` is taken for ``credit_card`` where only one choice fits: asking again
    would cost money and teach nothing.
    """
    if isinstance(value, dict):
        wanted = schema.get("properties", {})
        return {key: _settled(item, wanted.get(key, {})) for key, item in value.items()}
    if isinstance(value, list):
        return [_settled(item, schema.get("items", {})) for item in value]
    if isinstance(value, str) and value not in schema.get("enum", (value,)):
        fits = [
            choice
            for choice in schema["enum"]
            if isinstance(choice, str) and _folded(choice) == _folded(value)
        ]
        return fits[0] if len(fits) == 1 else value
    return value


def _folded(text: str) -> str:
    return _SEPARATORS.sub(" ", text.strip().rstrip(".").casefold())


def _trouble(value: Any, schema: Mapping[str, Any]) -> str | None:
    """What the schema finds wrong with a value, as a sentence; None where nothing."""
    error = next(_validator(_written(schema)).iter_errors(value), None)
    if error is None:
        return None
    place = ".".join(str(step) for step in error.absolute_path)
    at = f"{place!r}" if place else "the answer"
    if error.validator == "enum":
        return f"{at} is {_quoted(str(error.instance))}, which is none of the choices"
    if error.validator == "type":
        return f"{at} is {_quoted(str(error.instance))}, and not of type {error.validator_value}"
    return f"{at}: {_quoted(error.message)}"


@functools.lru_cache(maxsize=1024)
def _validator(written: str) -> Any:
    """Schemas differ from row to row where labels are shortlisted, so a thousand are kept."""
    try:
        from jsonschema import Draft202012Validator
    except ImportError as error:
        raise MissingExtraError("jsonschema", "live") from error
    return Draft202012Validator(orjson.loads(written))


def _is_strict(schema: Any) -> bool:
    """Whether a schema keeps to the strict dialect: closed objects, every property required."""
    if isinstance(schema, Mapping):
        properties = schema.get("properties")
        if properties is not None and (
            schema.get("additionalProperties") is not False
            or set(schema.get("required", ())) != set(properties)
        ):
            return False
        return all(_is_strict(part) for part in schema.values())
    if isinstance(schema, list):
        return all(_is_strict(part) for part in schema)
    return True


def _written(schema: Mapping[str, Any]) -> str:
    return orjson.dumps(schema).decode()


def _quoted(text: str) -> str:
    text = " ".join(text.split())
    if len(text) > _QUOTED_CHARACTERS:
        text = f"{text[:_QUOTED_CHARACTERS]}…"
    return repr(text)
