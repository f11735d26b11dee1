"""The types of what flows between nodes, so that a mistake is found before anything runs."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from potstill.spec.answer import AnswerSpec
from potstill.spec.extraction import FieldSpec


@dataclass(frozen=True, slots=True)
class Text:
    """One text."""

    def __str__(self) -> str:
        return "a text"


@dataclass(frozen=True, slots=True)
class Number:
    """A confidence, a whole number, or an amount."""

    def __str__(self) -> str:
        return "a number"


@dataclass(frozen=True, slots=True)
class Boolean:
    """Whether an answer was deferred."""

    def __str__(self) -> str:
        return "true or false"


@dataclass(frozen=True, slots=True)
class Fields:
    """Named texts, in the order in which a model reads them."""

    names: tuple[str, ...]

    def __str__(self) -> str:
        return f"the fields {', '.join(self.names)}"


@dataclass(frozen=True, slots=True)
class Label:
    """One label of a taxonomy; also a text."""

    labels: tuple[str, ...]

    def __str__(self) -> str:
        return "a label"


@dataclass(frozen=True, slots=True)
class Labels:
    """Several labels of a taxonomy, or none."""

    labels: tuple[str, ...]

    def __str__(self) -> str:
        return "several labels"


@dataclass(frozen=True, slots=True)
class Answer:
    """A prediction: its fields are what conditions and other nodes read.

    Attributes:
        labels: the taxonomy.
        multilabel: whether there may be several labels, or none.
    """

    labels: tuple[str, ...]
    multilabel: bool

    def __str__(self) -> str:
        return "an answer"


@dataclass(frozen=True, slots=True)
class Amount:
    """An amount of money: its number and its currency."""

    def __str__(self) -> str:
        return "an amount of money"


@dataclass(frozen=True, slots=True)
class Found:
    """One value of a field: itself, the words that it rests on, and how sure it is.

    Attributes:
        value: the type of its normal form.
        spec: what is known of the field.
    """

    value: Type
    spec: FieldSpec

    def __str__(self) -> str:
        return "a value with its evidence"


@dataclass(frozen=True, slots=True)
class Record:
    """The values of all fields of a document, by the name of the field."""

    fields: tuple[tuple[str, Found | ListOf], ...]

    def __str__(self) -> str:
        return "the values of fields"


@dataclass(frozen=True, slots=True)
class Extracted:
    """A prediction of values: what an extraction answers.

    Attributes:
        spec: what its task says of an answer.
    """

    spec: AnswerSpec

    @property
    def record(self) -> Record:
        """The type of what it says of its fields."""
        return record_of(self.spec.fields)

    def __str__(self) -> str:
        return "an extraction"


@dataclass(frozen=True, slots=True)
class Written:
    """A prediction of a text: what a generation answers.

    Attributes:
        spec: what its task says of an answer.
    """

    spec: AnswerSpec

    def __str__(self) -> str:
        return "an answer in words"


@dataclass(frozen=True, slots=True)
class Composite:
    """An answer of several parts: what a workflow answers whose output names them."""

    parts: tuple[tuple[str, Type], ...]

    def __str__(self) -> str:
        return "an answer of several parts"


@dataclass(frozen=True, slots=True)
class ListOf:
    """Any number of values of one type."""

    item: Type

    def __str__(self) -> str:
        plural = {
            "a text": "texts",
            "a number": "numbers",
            "a label": "labels",
            "an answer": "answers",
            "a value with its evidence": "values with their evidence",
            "an extraction": "extractions",
            "an answer in words": "answers in words",
        }
        return f"a list of {plural.get(str(self.item), str(self.item))}"


@dataclass(frozen=True, slots=True)
class Unknown:
    """What cannot be told because of a mistake that was reported already; fits everywhere."""

    def __str__(self) -> str:
        return "unknown"


Predicted = Answer | Extracted | Written | Composite
"""What a predictor answers."""

Type = (
    Text
    | Number
    | Boolean
    | Amount
    | Fields
    | Label
    | Labels
    | Found
    | Record
    | Predicted
    | ListOf
    | Unknown
)


def record_of(fields: Mapping[str, FieldSpec]) -> Record:
    """The type of what an extraction says of its fields."""
    found: list[tuple[str, Found | ListOf]] = []
    for name, spec in fields.items():
        one = Found(_type_of_value(spec), spec)
        found.append((name, ListOf(one) if spec.many else one))
    return Record(tuple(found))


def _type_of_value(spec: FieldSpec) -> Type:
    match spec.type:
        case "integer":
            return Number()
        case "money":
            return Amount()
        case "choice":
            return Label(tuple(spec.choices))
        case _:
            return Text()


def fields_of(kind: Type) -> dict[str, Type]:
    """The fields that a reference may name; of a list, those of its items, as lists."""
    found: dict[str, Type] = {}
    match kind:
        case Fields(names):
            found = {name: Text() for name in names}
        case Answer(labels, multilabel):
            one: Type = Labels(labels) if multilabel else Label(labels)
            found = {"labels" if multilabel else "label": one, "guess": one, **_SURENESS}
        case Extracted():
            found = {"fields": kind.record, "guess": kind.record, **_SURENESS}
        case Written():
            found = {"text": Text(), "guess": Text(), **_SURENESS}
        case Record(fields):
            found = dict(fields)
        case Composite(parts):
            found = dict(parts)
        case Found(value=value):
            found = {"value": value, "text": Text(), "confidence": Number()}
        case Amount():
            found = {"amount": Number(), "currency": Text()}
        case ListOf(item):
            found = {name: ListOf(field) for name, field in fields_of(item).items()}
        case _:
            pass
    return found


_SURENESS: dict[str, Type] = {"confidence": Number(), "deferred": Boolean()}


def labels_of(kind: Type) -> tuple[str, ...]:
    """The taxonomy of an answer; empty for everything else."""
    return kind.labels if isinstance(kind, Answer) else ()


def names_in(kind: Type) -> tuple[str, ...]:
    """What a predictor calls its labels: of an extraction the fields, of texts none."""
    return kind.spec.names if isinstance(kind, Extracted) else labels_of(kind)


def type_of(spec: AnswerSpec) -> Predicted:
    """The type of the answers that a task asks for."""
    match spec.type:
        case "extraction":
            return Extracted(spec)
        case "generation":
            return Written(spec)
        case _:
            return Answer(spec.labels, spec.multilabel)


def spec_of(kind: Predicted) -> AnswerSpec | None:
    """What such answers are made of; None where they have parts, each of which is another thing."""
    match kind:
        case Answer(labels, multilabel):
            return AnswerSpec(type="multilabel" if multilabel else "classification", labels=labels)
        case Composite():
            return None
        case _:
            return kind.spec


def described(kind: Type) -> dict[str, Any]:
    """What a card says of values of a type: ``type``, and what goes with it.

    That is ``labels``, the ``fields`` of an extraction, the ``parts`` of an answer that has
    several, the ``items`` of a list, the ``field`` of a single value.
    """
    found: dict[str, Any] = {}
    match kind:
        case Answer(labels, multilabel):
            name = "multilabel" if multilabel else "classification"
            found = {"type": name, "labels": list(labels)}
        case Extracted(spec):
            found = {"type": spec.type, "fields": spec.model_dump(mode="json")["fields"]}
        case Written(spec):
            found = {"type": spec.type}
        case Composite(parts):
            found = {"type": "composite", "parts": {name: described(one) for name, one in parts}}
        case Record(fields):
            found = {"type": "fields", "fields": {name: described(one) for name, one in fields}}
        case Found(spec=spec):
            found = {"type": "found", "field": spec.model_dump(mode="json")}
        case ListOf(item):
            found = {"type": "list", "items": described(item)}
        case Label(labels) | Labels(labels):
            found = {"type": type(kind).__name__.lower(), "labels": list(labels)}
        case Number() | Boolean() | Amount():
            found = {"type": type(kind).__name__.lower()}
        case _:
            found = {"type": "text"}
    return found


def accepts(wanted: Type, given: Type) -> bool:
    """Whether a value of one type may stand where another is wanted."""
    match wanted, given:
        case (Unknown(), _) | (_, Unknown()):
            return True
        case Text(), Label():
            return True
        case ListOf(one), ListOf(other):
            return accepts(one, other)
        case Fields(names), Fields(others):
            return set(names) == set(others)
        case (Answer(), Answer()) | (Written(), Written()):
            return True
        case _:
            return wanted == given


def joined(kinds: list[Type]) -> Type | None:
    """The type of items that come from several places; None where they do not go together."""
    if all(isinstance(kind, Answer | Unknown) for kind in kinds):
        answers = [kind for kind in kinds if isinstance(kind, Answer)]
        labels = dict.fromkeys(label for kind in answers for label in kind.labels)
        several = any(kind.multilabel for kind in answers)
        return Answer(tuple(labels), several) if answers else Unknown()
    if all(accepts(Text(), kind) for kind in kinds):
        return Text()
    return None
