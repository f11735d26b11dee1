"""What flows between nodes while a workflow runs, and how a reference reads it."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, cast

import orjson

from potstill.data.example import Deferral, Prediction, id_of


@dataclass(frozen=True, slots=True)
class Missing:
    """No value: the node did not run, or gave nothing.

    Attributes:
        reason: why an answer that depends on it is deferred; None where a condition said
            that the node is not wanted.
    """

    reason: Deferral | None = None


Value = str | float | bool | tuple[str, ...] | Mapping[str, str] | Prediction | list[Any]
"""A text or label, a confidence, labels, named fields, an answer, or a list of these."""

SKIPPED = Missing()


def field_of(value: Value | Missing, field: str | None) -> Value | Missing:
    """A field of a value; of a list, that of each item that has it.

    The label of a deferred answer is missing, for the answer's reason; its `guess` is not.
    """
    if field is None or isinstance(value, Missing):
        return value
    if isinstance(value, Prediction):
        return _field_of_answer(value, field)
    if isinstance(value, list):
        found = [field_of(item, field) for item in value]
        absent = next((item for item in found if isinstance(item, Missing)), None)
        return absent or cast("list[Any]", found)
    # A row need not fill all its fields.
    return cast("Mapping[str, str]", value).get(field, "")


def _field_of_answer(answer: Prediction, field: str) -> Value | Missing:
    if field == "deferred":
        return answer.answer is None
    if field == "confidence":
        return SKIPPED if answer.confidence is None else answer.confidence
    found = answer.target if field == "guess" else answer.answer
    return Missing(answer.deferred or "failed") if found is None else found


def hash_of(value: Value) -> str:
    """Sixteen hexadecimal digits of a value's SHA-256; of an input, its id."""
    if isinstance(value, str | Mapping):
        return id_of(value)
    shown = orjson.dumps(plain(value), option=orjson.OPT_SORT_KEYS)
    return hashlib.sha256(shown).hexdigest()[:16]


def plain(value: Value) -> Any:
    """A value as JSON knows it; of an answer, what a caller sees but for the scores."""
    if isinstance(value, Prediction):
        row = value.to_json()
        row.pop("scores", None)
        return row
    if isinstance(value, list):
        return [plain(item) for item in value]
    return list(value) if isinstance(value, tuple) else value


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
