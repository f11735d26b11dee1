"""References, and the conditions on them: what they name, and what they read at run time."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Literal

from potstill.data.example import Deferral
from potstill.spec.document import Path_
from potstill.spec.mistakes import meant
from potstill.spec.workflow import INPUT, Test
from potstill.workflow.types import (
    Boolean,
    Fields,
    Found,
    Label,
    Labels,
    Number,
    Text,
    Type,
    Unknown,
    fields_of,
)
from potstill.workflow.values import Missing, Value, field_of

Values = Mapping[str, "Value | Missing"]
"""What each node that is done gave for one input of the workflow; `input` is among them."""


class Mistake(Exception):
    """Something in a workflow file that cannot be; the reader of the graph adds the line.

    Args:
        message: what cannot be.
        hint: how to mend it.
        at: where, below the key that is being read.
    """

    def __init__(self, message: str, hint: str | None = None, at: Path_ = ()) -> None:
        super().__init__(message)
        self.message = message
        self.hint = hint
        self.at = at


@dataclass(frozen=True, slots=True)
class Reference:
    """``input``, ``input.FIELD``, ``NODE``, ``NODE.FIELD`` or ``NODE.FIELD.FIELD…``.

    Attributes:
        node: a node, or the input of the whole.
        field: of what the node gave; of an extraction as deep as ``fields.term.text``.
        single: whether the field of an extraction that it names has one value at most.
    """

    node: str
    field: str | None = None
    single: bool = False

    @classmethod
    def parse(cls, text: str, known: Sequence[str]) -> Reference:
        """Read a reference.

        Args:
            text: as it stands in the file.
            known: names of the nodes.

        Raises:
            Mistake: no node has this name.
        """
        node, dot, field = text.removeprefix("$").partition(".")
        if node != INPUT and node not in known:
            names = [*known, INPUT]
            raise Mistake(
                f"{text!r}: no node is called {node!r}.",
                meant(node, names) or f"There are {', '.join(names)}.",
            )
        return cls(node, field if dot else None)

    def type_in(self, types: Mapping[str, Type]) -> Type:
        """The type of what it names.

        Raises:
            Mistake: the node has no such field.
        """
        return self._walked(types)[-1]

    def resolved(self, types: Mapping[str, Type]) -> Reference:
        """The same, knowing whether it means one value of a field or a list of them.

        Raises:
            Mistake: the node has no such field.
        """
        single = any(isinstance(kind, Found) for kind in self._walked(types))
        return replace(self, single=single)

    @property
    def extracted(self) -> str | None:
        """The field of an extraction that it reads; None where it reads all of it, or none."""
        names = (self.field or "").split(".")
        return names[1] if names[0] in ("fields", "guess") and len(names) > 1 else None

    def read(self, values: Values) -> Value | Missing:
        """What it names, for one input."""
        return field_of(values[self.node], self.field, single=self.single)

    def _walked(self, types: Mapping[str, Type]) -> list[Type]:
        """The types on the way: of the node, of its field, of the field of that."""
        kinds = [types[self.node]]
        # Names of the input's columns are anybody's, and may hold dots.
        whole = self.field is None or isinstance(kinds[0], Fields)
        names = [self.field] if whole else str(self.field).split(".")
        at = self.node
        for name in names:
            if name is None or isinstance(kinds[-1], Unknown):
                break
            known = fields_of(kinds[-1])
            if name not in known:
                fields = f"its fields are {', '.join(known)}." if known else "that has no fields."
                raise Mistake(
                    f"{str(self)!r}: {at!r} is {kinds[-1]}, and there is no {name!r} in it.",
                    meant(name, known) or f"{fields[0].upper()}{fields[1:]}",
                )
            kinds.append(known[name])
            at = f"{at}.{name}"
        return kinds

    def __str__(self) -> str:
        return self.node if self.field is None else f"{self.node}.{self.field}"


@dataclass(frozen=True, slots=True)
class Source:
    """What a node reads.

    Attributes:
        references: one; or those of a list, or of named fields.
        shape: which of the three.
        names: of named fields, in the order in which the node reads them.
    """

    references: tuple[Reference, ...]
    shape: Literal["one", "list", "fields"]
    names: tuple[str, ...] = ()

    def resolved(self, types: Mapping[str, Type]) -> Source:
        """The same, each of its references knowing whether it means one value or a list.

        Raises:
            Mistake: a node has not the field that is named.
        """
        found = tuple(reference.resolved(types) for reference in self.references)
        return replace(self, references=found)

    def read(self, values: Values) -> Value | Missing:
        """The node's input, or why there is none.

        A list leaves out what did not run. Where an answer in it could not be given, the list
        is missing for the same reason: an answer from half of what was asked for would be a
        guess that says nothing of being one.
        """
        found = [reference.read(values) for reference in self.references]
        if self.shape == "one":
            return found[0]
        missing = [value for value in found if isinstance(value, Missing)]
        if self.shape == "fields":
            return missing[0] if missing else dict(zip(self.names, found, strict=True))  # type: ignore[arg-type]
        reason = next((value for value in missing if value.reason is not None), None)
        present = [value for value in found if not isinstance(value, Missing)]
        return reason or (present if present else Missing())


@dataclass(frozen=True, slots=True)
class Condition:
    """A test of what a reference names.

    Attributes:
        reference: what is tested.
        test: what must be so.
        labels: where one label is tested, those that satisfy the test.
    """

    reference: Reference
    test: Test
    labels: frozenset[str] | None

    @classmethod
    def of(cls, reference: Reference, test: Test, types: Mapping[str, Type]) -> Condition:
        """A condition whose test fits what it tests.

        Raises:
            Mistake: the test does not fit, or names a label that does not exist.
        """
        kind = reference.type_in(types)
        reference = reference.resolved(types)
        keys = test.model_dump(by_alias=True, exclude_none=True)
        fitting = _FITTING.get(type(kind))
        if isinstance(kind, Unknown):
            return cls(reference, test, None)
        if fitting is None:
            raise Mistake(
                f"{str(reference)!r} is {kind}: a condition cannot test that.",
                _field_hint(reference, kind),
            )
        wrong = next((key for key in keys if key not in fitting), None)
        if wrong is not None:
            raise Mistake(
                f"{str(reference)!r} is {kind}: {wrong!r} cannot test that.",
                f"Use {' or '.join(map(repr, fitting))}.",
            )
        if isinstance(kind, Boolean) and not isinstance(test.is_, bool):
            raise Mistake(f"{str(reference)!r} is true or false, not {test.is_!r}.")
        if not isinstance(kind, Label | Labels):
            return cls(reference, test, None)
        _check_labels(reference, kind.labels, test)
        if isinstance(kind, Labels):
            return cls(reference, test, None)
        return cls(reference, test, frozenset(name for name in kind.labels if _passes(name, test)))

    def holds(self, values: Values) -> bool | Missing:
        """Whether it holds for one input; missing where there is nothing to test."""
        value = self.reference.read(values)
        if isinstance(value, Missing):
            return value
        if self.labels is not None:
            return value in self.labels
        return _passes(value, self.test)

    def __str__(self) -> str:
        shown: list[str] = []
        for key, wanted in self.test.model_dump(by_alias=True, exclude_none=True).items():
            names = ", ".join(map(_word, wanted)) if isinstance(wanted, list) else _word(wanted)
            shown.append(f"{self.reference} {key.replace('_', ' ')} {names}")
        return " and ".join(shown)


def all_hold(conditions: Sequence[Condition], values: Values) -> Missing | None:
    """None where all hold; otherwise why the node does not run.

    A condition that is plainly false goes before one that cannot be told, so that an input
    which belongs elsewhere is not deferred for what was never asked of it.
    """
    reason: Deferral | None = None
    unknown = False
    for condition in conditions:
        held = condition.holds(values)
        if held is False:
            return Missing()
        if isinstance(held, Missing):
            unknown = True
            reason = reason or held.reason
    return Missing(reason) if unknown else None


_FITTING: dict[type, tuple[str, ...]] = {
    Label: ("is", "in", "not_in"),
    Text: ("is", "in", "not_in"),
    Labels: ("has",),
    Number: ("at_least", "below"),
    Boolean: ("is",),
}


def _passes(value: Any, test: Test) -> bool:
    """Whether a value passes every part of a test that is given."""
    checks: tuple[bool, ...] = (
        test.is_ is None or _word(value) == _word(test.is_),
        test.in_ is None or value in [_word(name) for name in test.in_],
        test.not_in is None or value not in [_word(name) for name in test.not_in],
        test.has is None or test.has in value,
        test.at_least is None or value >= test.at_least,
        test.below is None or value < test.below,
    )
    return all(checks)


def _word(value: Any) -> str:
    """A label as a task file has it: ``true`` and ``1`` are words there."""
    return str(value).lower() if isinstance(value, bool) else str(value)


def _check_labels(reference: Reference, known: Sequence[str], test: Test) -> None:
    named: list[tuple[Path_, Any]] = [
        (("is",), test.is_),
        (("has",), test.has),
        *((("in", number), name) for number, name in enumerate(test.in_ or ())),
        *((("not_in", number), name) for number, name in enumerate(test.not_in or ())),
    ]
    for at, name in named:
        if name is not None and _word(name) not in known:
            few = f"There are {', '.join(known)}." if len(known) <= 12 else None
            raise Mistake(
                f"{_asked(reference)} {_word(name)!r}.",
                meant(_word(name), known) or few,
                at,
            )


def _asked(reference: Reference) -> str:
    field = reference.extracted
    return f"{reference.node!r} has no label" if field is None else f"{field!r} has no choice"


def _field_hint(reference: Reference, kind: Type) -> str | None:
    fields = ", ".join(f"{reference}.{name}" for name in fields_of(kind))
    return f"Test a field: {fields}." if fields else None
