"""What flows between nodes while a workflow runs, and how a reference reads it."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, cast

import orjson

from potstill.data.composed import Composed, shown
from potstill.data.example import Deferral, Prediction, Text, id_of
from potstill.data.extraction import Extraction, Money
from potstill.data.extraction import Value as FoundValue


@dataclass(frozen=True, slots=True)
class Missing:
    """No value: the node did not run, or gave nothing.

    Attributes:
        reason: why an answer that depends on it is deferred; None where a condition said
            that the node is not wanted.
    """

    reason: Deferral | None = None


Value = (
    str
    | float
    | bool
    | tuple[str, ...]
    | Mapping[str, str]
    | Prediction
    | Extraction
    | FoundValue
    | Money
    | list[Any]
)
"""A text or label, a number, labels, named fields, an answer, what a part of an answer is, or a
list of these."""

SKIPPED = Missing()


def field_of(value: Value | Missing, field: str | None, *, single: bool = False) -> Value | Missing:
    """A field of a value, or of a field of it (``fields.term.text``); of a list, of each item.

    The label of a deferred answer is missing, for the answer's reason; its `guess` is not. So
    are the values of a field that an extraction is unsure of.

    Args:
        value: an answer, named fields, or a list of such.
        field: names, joined by dots; None is the value itself.
        single: whether a field of an extraction has one value at most, which is then meant; a
            list of its values otherwise.
    """
    if field is None or isinstance(value, Missing):
        return value
    if isinstance(value, list):
        found = [field_of(item, field, single=single) for item in value]
        absent = next((item for item in found if isinstance(item, Missing)), None)
        return absent or cast("list[Any]", found)
    if isinstance(value, Mapping):
        return value.get(field, "")  # a row need not fill all its fields
    name, _, rest = field.partition(".")
    return field_of(_field(value, name, single), rest or None, single=single)


def _field(value: Any, name: str, single: bool) -> Value | Missing:
    match value:
        case Composed():
            part = value.parts.get(name)
            return Missing(value.unanswered.get(name)) if part is None else part
        case Prediction():
            return _field_of_answer(value, name)
        case Extraction():
            found = value.of(name)
            if name in value.unsure:
                return Missing("unsure")
            return list(found) if not single else found[0] if found else SKIPPED
        case Money(amount):
            return float(amount) if name == "amount" else value.currency or SKIPPED
        case _:
            part = getattr(value, name)
            return SKIPPED if part is None else part


def _field_of_answer(answer: Prediction, field: str) -> Value | Missing:
    if field == "deferred":
        return answer.answer is None
    if field == "confidence":
        return SKIPPED if answer.confidence is None else answer.confidence
    guessed = field == "guess"
    found = answer.target if guessed else answer.answer
    match found:
        case None:
            return Missing(answer.deferred or "failed")
        case Text(text):
            return text
        case Extraction():
            return replace(found, unsure=()) if guessed else found
        case _:
            return found


def hash_of(value: Value) -> str:
    """Sixteen hexadecimal digits of a value's SHA-256; of an input, its id."""
    if isinstance(value, str | Mapping):
        return id_of(value)
    content = orjson.dumps(shown(value), option=orjson.OPT_SORT_KEYS)
    return hashlib.sha256(content).hexdigest()[:16]


def confidence_of(value: Value | Missing) -> float | None:
    """The confidence of an answer; of a list of answers the product; None where unknown."""
    if isinstance(value, Prediction):
        return value.confidence
    if isinstance(value, list):
        return product(confidence_of(item) for item in cast("Sequence[Value]", value))
    return 1.0


def product(factors: Any) -> float | None:
    """The product; None where a factor is unknown."""
    result = 1.0
    for factor in factors:
        if factor is None:
            return None
        result *= factor
    return result
