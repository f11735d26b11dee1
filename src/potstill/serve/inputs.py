"""From a request's JSON to inputs that a model reads; what is wrong is named with its place."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from potstill.data.example import Input
from potstill.serve.facts import Facts
from potstill.serve.refusal import Refusal


def read_input(value: Any, facts: Facts, where: str = "'input'") -> Input:
    """One input.

    Args:
        value: what stands in the request.
        facts: of the model, which reads one text or named fields.
        where: how a message calls the place.

    Raises:
        Refusal: not what the model reads, or empty (422).
    """
    if facts.fields:
        return _named(value, facts.fields, where)
    if not isinstance(value, str):
        raise _wrong(f"{where} is {_kind(value)}, not a text.", "Send a string.")
    if not value.strip():
        raise _empty(where)
    return value


def read_inputs(values: Any, facts: Facts, most: int, where: str = "'inputs'") -> list[Input]:
    """Several inputs.

    Raises:
        Refusal: not a list, an empty or a too long one, or one is not what the model
            reads (422).
    """
    if not isinstance(values, list):
        raise _wrong(f"{where} is {_kind(values)}, not a list.", "Send a list of inputs.")
    check_count(len(values), most, where)
    return [read_input(value, facts, f"{where}[{at}]") for at, value in enumerate(values)]


def check_count(count: int, most: int, where: str) -> None:
    """Refuse no inputs, and too many.

    Raises:
        Refusal: none, or more than ``most`` (422).
    """
    if not count:
        raise _wrong(f"{where} is empty.", "Send one input at least.")
    if count > most:
        raise Refusal(
            422,
            "too_many_inputs",
            f"{where} holds {count:,} inputs; a request may hold {most:,}.",
            hint="Send fewer at a time, or stream them to the model's 'stream' route.",
        )


def refuse_unknown(document: Mapping[str, Any], known: Sequence[str]) -> None:
    """Refuse a key that means nothing here: it is a misspelling, or a wish that is not met.

    Raises:
        Refusal: a key that is not known (422).
    """
    unknown = [key for key in document if key not in known]
    if unknown:
        raise _wrong(f"unknown key {unknown[0][:100]!r}.", f"Known: {', '.join(known)}.")


def read_option(document: Mapping[str, Any], name: str, default: Any, most: int = 0) -> Any:
    """A switch, or a whole number up to ``most``, by the type of its default.

    Raises:
        Refusal: of another type, or out of range (422).
    """
    value = document.get(name, default)
    if isinstance(value, float) and value.is_integer():
        value = int(value)  # JSON has one kind of number
    if type(value) is not type(default):
        wanted = "true or false" if isinstance(default, bool) else "a whole number"
        raise _wrong(f"{name!r} is {_kind(value)}, not {wanted}.", f"Send {wanted}.")
    if not isinstance(default, bool) and not 0 <= value <= most:
        raise _wrong(f"{name!r} is not from 0 to {most}.", f"Send a number from 0 to {most}.")
    return value


def _named(value: Any, fields: Sequence[str], where: str) -> Input:
    if not isinstance(value, dict):
        raise _wrong(
            f"{where} is {_kind(value)}; this model reads the fields {', '.join(fields)}.",
            "Send an object with these fields.",
        )
    for name in fields:
        if not isinstance(value.get(name), str):
            raise _wrong(
                f"{where} has no text in {name!r}.", f"Send the fields {', '.join(fields)}."
            )
    refuse_unknown(value, fields)
    named: dict[str, str] = {name: value[name] for name in fields}
    if not any(text.strip() for text in named.values()):
        raise _empty(where)
    return named


def _kind(value: Any) -> str:
    names = {dict: "an object", list: "a list", str: "a text", bool: "a boolean"}
    return "nothing" if value is None else names.get(type(value), "a number")


def _wrong(message: str, hint: str) -> Refusal:
    return Refusal(422, "invalid", message, hint=hint)


def _empty(where: str) -> Refusal:
    return Refusal(
        422, "empty_text", f"{where} is an empty text.", hint="Send a text with a word in it."
    )
