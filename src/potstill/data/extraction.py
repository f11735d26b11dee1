"""What an extraction answers: values of fields, each with the words that it rests on.

Offsets count characters (Unicode code points, as Python does) of the document, the end
exclusive. With named input fields the document is the first of them; the others are context.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any


@dataclass(frozen=True, slots=True)
class Money:
    """An amount of a currency.

    Attributes:
        amount: in decimal digits, with a point: ``1250000.00``.
        currency: ISO 4217 code; None where the text names none.
    """

    amount: str
    currency: str | None = None


Scalar = str | int | Money
"""A normalised value: text, ISO date, duration (``7 years``) and choice are strings."""


@dataclass(frozen=True, slots=True)
class Value:
    """One value of a field.

    Attributes:
        value: in the normal form of the field's type.
        text: the evidence, verbatim; None where nobody located it.
        start: its first character in the document.
        end: the character after its last one.
        confidence: calibrated probability that the value is right; None for a person's.
    """

    value: Scalar
    text: str | None = None
    start: int | None = None
    end: int | None = None
    confidence: float | None = None

    def to_json(self) -> dict[str, Any]:
        """A JSON object; what is not known is left out."""
        shown: Any = self.value
        if isinstance(shown, Money):
            shown = {"amount": shown.amount, "currency": shown.currency}
        row = {"value": shown, "text": self.text, "start": self.start, "end": self.end}
        row["confidence"] = self.confidence
        return {key: item for key, item in row.items() if item is not None}

    @classmethod
    def from_json(cls, row: Mapping[str, Any]) -> Value:
        """The inverse of `to_json`."""
        known = dict(row)
        if isinstance(known["value"], Mapping):
            known["value"] = Money(**known["value"])
        return cls(**known)


@dataclass(frozen=True, slots=True)
class Extraction:
    """The values of all fields of one document.

    Attributes:
        fields: field name to its values in the order of the document; a field that the
            document does not hold is absent or has none.
        unsure: fields whose values are guesses and no answers.
    """

    fields: Mapping[str, tuple[Value, ...]] = field(default_factory=dict[str, tuple[Value, ...]])
    unsure: tuple[str, ...] = ()

    def of(self, name: str) -> tuple[Value, ...]:
        """The values of a field; none where it is absent."""
        return self.fields.get(name, ())

    def to_json(self) -> dict[str, Any]:
        """``{"fields": {name: [{value, text, start, end, confidence}]}, "unsure": [names]}``."""
        row: dict[str, Any] = {
            "fields": {name: [v.to_json() for v in found] for name, found in self.fields.items()}
        }
        if self.unsure:
            row["unsure"] = list(self.unsure)
        return row

    @classmethod
    def from_json(cls, row: Mapping[str, Any]) -> Extraction:
        """The inverse of `to_json`."""
        fields = {
            name: tuple(Value.from_json(value) for value in found)
            for name, found in row["fields"].items()
        }
        return cls(fields, tuple(row.get("unsure", ())))
