"""Filters for answers that are no labels: values of fields, and texts."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from potstill.data import Example, Extraction, Rejection, Text, Value, document_of
from potstill.filter.base import Filter, reject
from potstill.filter.rules import Validity, text_fault
from potstill.runtime.guards import guard
from potstill.spec.answer import AnswerSpec
from potstill.spec.extraction import FieldSpec
from potstill.spec.generation import TextSpec


def validity_of(answer: AnswerSpec) -> Filter:
    """What every row of a task must fulfil, be it one that teaches, steers or judges."""
    if answer.type == "extraction":
        return FieldValidity(answer.fields)
    if answer.type == "generation":
        return TextValidity(answer.text)
    return Validity(answer.labels)


@dataclass(frozen=True)
class FieldValidity:
    """A row must hold readable text, and values of the task's fields that stand where they say.

    Attributes:
        fields: the fields by name.
    """

    fields: Mapping[str, FieldSpec]
    name: str = "validity"

    def __call__(self, examples: Sequence[Example], /) -> list[Rejection]:
        """See `Filter`."""
        return [found for example in examples if (found := self._fault(example)) is not None]

    def _fault(self, example: Example) -> Rejection | None:
        fault = text_fault(example)
        if fault is not None:
            return reject(example, self.name, *fault)
        if not isinstance(example.target, Extraction):
            return reject(example, self.name, "no_target", "nobody said what the values are")
        document = document_of(example.input)
        for name, values in example.target.fields.items():
            fault = _field_fault(name, values, document, self.fields.get(name))
            if fault is not None:
                return reject(example, self.name, *fault)
        return None


def _field_fault(
    name: str, values: Sequence[Value], document: str, spec: FieldSpec | None
) -> tuple[str, str] | None:
    """Why the values of a field cannot be used, as cause and detail."""
    if spec is None:
        return "unknown_field", f"{name!r} is not a field of the task"
    if len(values) > 1 and not spec.many:
        return "several_values", f"{name!r} has {len(values)} values and is not 'many'"
    for value in values:
        if spec.choices and value.value not in spec.choices:
            return "outside_choices", f"{name!r}: {value.value!r} is not one of the choices"
        if value.start is None or value.end is None:
            continue
        if not 0 <= value.start < value.end <= len(document):
            place = f"{value.start}-{value.end}"
            said = f"{name!r}: {place} is no part of a text of {len(document)} characters"
            return "bad_offsets", said
        if document[value.start : value.end] != value.text:
            said = f"{document[value.start : value.end]!r} and not {value.text!r}"
            return "evidence_mismatch", f"{name!r}: {value.start}-{value.end} is {said}"
    return None


@dataclass(frozen=True)
class TextValidity:
    """A row must hold readable text and an answer, and a teacher's answer must pass the guards.

    A person may write what stands nowhere in the source, and knows why.

    Attributes:
        text: the guards, and how long a text may be.
    """

    text: TextSpec
    name: str = "validity"

    def __call__(self, examples: Sequence[Example], /) -> list[Rejection]:
        """See `Filter`."""
        return [found for example in examples if (found := self._fault(example)) is not None]

    def _fault(self, example: Example) -> Rejection | None:
        fault = text_fault(example)
        if fault is not None:
            return reject(example, self.name, *fault)
        if not isinstance(example.target, Text) or not example.target.text.strip():
            return reject(example, self.name, "no_target", "nobody said what the text is")
        if example.is_gold:
            return None
        verdict = guard(example.target.text, example.text, self.text)
        for broken in verdict.broken[:1]:
            return reject(example, self.name, f"guard_{broken}", verdict.details[broken])
        return None
