"""What a person's rows tell of the fields: of which type each is, and whether it has several."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from typing import Any, cast

_SHAPES = {
    "date": r"\d{4}-\d\d-\d\d",
    "integer": r"-?\d+",
    "duration": r"\d+(\.\d+)? (second|minute|hour|day|week|month|quarter|year)s?",
    "money": r"-?\d+(\.\d+)? [A-Z]{3}",
}
"""How values of a type are recorded."""


def guessed_fields(cells: Iterable[object]) -> dict[str, str]:
    """The fields of recorded answers, each with its type as a task file says it.

    Args:
        cells: objects of fields, as rows record them; anything else is passed over.
    """
    found: dict[str, list[list[Any]]] = {}
    for cell in cells:
        if isinstance(cell, Mapping):
            for name, said in cast("Mapping[Any, Any]", cell).items():
                found.setdefault(str(name), []).append(_values(said))
    return {name: _spec(rows) for name, rows in found.items()}


def _values(said: Any) -> list[Any]:
    """What stands in one row of a field."""
    listed = cast("list[Any]", said) if isinstance(said, list) else [said]
    plain = [one.get("value", one) if isinstance(one, Mapping) else one for one in listed]
    return [one for one in cast("list[Any]", plain) if one not in (None, "")]


def _spec(rows: list[list[Any]]) -> str:
    kind = _type([value for row in rows for value in row])
    return f"{{type: {kind}{', many: true' if any(len(row) > 1 for row in rows) else ''}}}"


def _type(values: list[Any]) -> str:
    """The type whose shape all values have; text where there is none, or no value."""
    if not values:
        return "text"
    if all(isinstance(value, Mapping) and "amount" in value for value in values):
        return "money"
    for kind, shape in _SHAPES.items():
        if all(re.fullmatch(shape, str(value)) for value in values):
            return kind
    return "text"
