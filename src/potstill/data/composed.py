"""An answer of several parts: what a workflow gives whose output names them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Any

from potstill.data.example import Deferral, Prediction, Text
from potstill.data.extraction import Extraction, Money, Value


@dataclass(frozen=True, slots=True)
class Composed(Prediction):
    """A prediction that is a document: its parts are predictions, values and texts.

    It has no target of its own. It is deferred only where no part of it could be answered.

    Attributes:
        parts: what was answered, by name and in the order of the output; None where there is
            nothing to say, or where it cannot be said.
        unanswered: why a part cannot be said, by its name; a part that nobody wanted (a
            condition did not hold, a document lacks the field) is not here.
    """

    parts: Mapping[str, Any] = field(default_factory=lambda: MappingProxyType({}))
    unanswered: Mapping[str, Deferral] = field(default_factory=lambda: MappingProxyType({}))

    def to_json(self) -> dict[str, Any]:
        """``{"parts": {name: …}, "unanswered": {name: why}, …}``."""
        row: dict[str, Any] = {"parts": {name: shown(part) for name, part in self.parts.items()}}
        if self.unanswered:
            row["unanswered"] = dict(self.unanswered)
        # Named, since the copy of a class that has slots breaks `super()` without arguments.
        return row | {
            key: value for key, value in Prediction.to_json(self).items() if key not in _TARGET_KEYS
        }


_TARGET_KEYS = ("label", "guess")


def shown(part: Any) -> Any:
    """A part as JSON knows it: of a prediction without its scores, of an extraction its fields."""
    match part:
        case Prediction():
            row = part.to_json()
            row.pop("scores", None)
            return row
        case Extraction():
            return {**part.to_json()["fields"], **dict.fromkeys(part.unsure)}
        case Text() | Value():
            return part.to_json()
        case Money(amount, currency):
            return {"amount": amount, "currency": currency}
        case list() | tuple():
            return [shown(item) for item in part]
        case _:
            return part
