"""The types of what flows between nodes, so that a mistake is found before anything runs."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Text:
    """One text."""

    def __str__(self) -> str:
        return "a text"


@dataclass(frozen=True, slots=True)
class Number:
    """A confidence."""

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
class ListOf:
    """Any number of values of one type."""

    item: Type

    def __str__(self) -> str:
        plural = {
            "a text": "texts",
            "a number": "numbers",
            "a label": "labels",
            "an answer": "answers",
        }
        return f"a list of {plural.get(str(self.item), str(self.item))}"


@dataclass(frozen=True, slots=True)
class Unknown:
    """What cannot be told because of a mistake that was reported already; fits everywhere."""

    def __str__(self) -> str:
        return "unknown"


Type = Text | Number | Boolean | Fields | Label | Labels | Answer | ListOf | Unknown


def fields_of(kind: Type) -> dict[str, Type]:
    """The fields that a reference may name; of a list, those of its items, as lists."""
    match kind:
        case Fields(names):
            return {name: Text() for name in names}
        case Answer(labels, multilabel):
            one: Type = Labels(labels) if multilabel else Label(labels)
            name = "labels" if multilabel else "label"
            return {name: one, "guess": one, "confidence": Number(), "deferred": Boolean()}
        case ListOf(item):
            return {name: ListOf(field) for name, field in fields_of(item).items()}
        case _:
            return {}


def labels_of(kind: Type) -> tuple[str, ...]:
    """The taxonomy of an answer; empty for everything else."""
    return kind.labels if isinstance(kind, Answer) else ()


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
        case Answer(), Answer():
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
