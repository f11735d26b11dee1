"""The baseline of an extraction: what stands in the document first, or was seen in training.

It reads nothing around a value. For a field of a type (a date, an amount) it answers the first
mention of that type; for words it answers those that training documents had as evidence.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from typing import Self

from potstill.data import (
    Example,
    Extraction,
    Input,
    Prediction,
    Value,
    document_of,
)
from potstill.data.values import find_values
from potstill.spec.extraction import FieldSpec

MENTIONED = "first mention"

_LEAST_TIMES = 2
"""Training documents that must have a phrase before it is looked for."""

_MOST_PHRASES = 500


class Mentioned:
    """Typed fields from their first mention, text fields from phrases of the training rows."""

    name = MENTIONED

    def __init__(
        self, fields: Mapping[str, FieldSpec], phrases: Mapping[str, Sequence[str]]
    ) -> None:
        self.labels = tuple(fields)
        self._fields = fields
        self._phrases = phrases

    @classmethod
    def fit(cls, train: Sequence[Example], fields: Mapping[str, FieldSpec]) -> Self:
        """Remember the values of text fields that several training documents have."""
        seen: defaultdict[str, Counter[str]] = defaultdict(Counter)
        for example in train:
            if isinstance(example.target, Extraction):
                for name, values in example.target.fields.items():
                    seen[name].update({value.text or str(value.value) for value in values})
        phrases = {
            name: [p for p, times in found.most_common(_MOST_PHRASES) if times >= _LEAST_TIMES]
            for name, found in seen.items()
            if name in fields and fields[name].type == "text"
        }
        return cls(fields, phrases)

    def predict(self, inputs: Sequence[Input], /) -> list[Prediction]:
        """One extraction an input, without confidences."""
        return [Prediction(self._extract(document_of(value))) for value in inputs]

    def _extract(self, document: str) -> Extraction:
        found: dict[str, tuple[Value, ...]] = {}
        for name, spec in self._fields.items():
            if spec.type == "text":
                values = self._remembered(document, self._phrases.get(name, ()))
            else:
                values = find_values(document, spec)
            found[name] = tuple(values if spec.many and spec.type != "text" else values[:1])
        return Extraction(found)

    def _remembered(self, document: str, phrases: Sequence[str]) -> list[Value]:
        """The phrases that the document holds verbatim, the longest one first."""
        places = ((document.find(phrase), phrase) for phrase in phrases)
        return [
            Value(phrase, phrase, at, at + len(phrase))
            for at, phrase in sorted(places, key=lambda place: -len(place[1]))
            if at >= 0
        ]
