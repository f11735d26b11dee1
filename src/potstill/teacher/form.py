"""The form of a task's answers: how one is read, held against its input, and joined to others."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Protocol

from potstill.data import Extraction, Input, Target, Text, document_of
from potstill.spec.answer import AnswerSpec
from potstill.spec.extraction import FieldSpec
from potstill.spec.generation import TextSpec
from potstill.teacher import field_votes, texts
from potstill.teacher.answer import Answer, Fault, LabelReader
from potstill.teacher.consensus import Consensus, reach_consensus
from potstill.teacher.evidence import with_evidence
from potstill.teacher.field_answers import FieldReader

FIELDS = "fields"
"""Key of the values of fields in an answer."""

ANSWER = "answer"
"""Key of a text in an answer; ``text`` is the input."""


class Form(Protocol):
    """What the answers to a task of one type have in common.

    Attributes:
        names: labels or fields in their fixed order; none for texts.
        columns: where the answer may stand in a row, the usual one first.
        unreadable: the fault of words that are no answer of this form.
        wanted: what an answer has to be, in words.
    """

    names: tuple[str, ...]
    columns: tuple[str, ...]
    unreadable: Fault
    wanted: str

    def read(self, raw: object) -> Target | None:
        """What an answer states; None where its words are none of this form."""
        ...

    def settle(self, answer: Answer, value: Input, /) -> Answer:
        """The answer, held against the input that it is about."""
        ...

    def agree(self, answers: Sequence[Sequence[Answer]]) -> Consensus:
        """A verdict on each row from all settled answers to it."""
        ...

    def likeness(self, one: Target, other: Target) -> float:
        """How far two targets say the same, 0 to 1."""
        ...


class LabelForm(LabelReader):
    """Labels: one of the taxonomy, or several.

    Args:
        labels: the taxonomy in its fixed order.
        multilabel: whether an answer may hold several labels, or none.
    """

    columns: tuple[str, ...] = ("label", "labels")
    unreadable: Fault = "outside_taxonomy"
    wanted = "a label of the task"

    def __init__(self, labels: tuple[str, ...], *, multilabel: bool) -> None:
        super().__init__(labels, multilabel=multilabel)
        self.names = labels

    def settle(self, answer: Answer, _: Input, /) -> Answer:
        """A label needs no evidence."""
        return answer

    def agree(self, answers: Sequence[Sequence[Answer]]) -> Consensus:
        """See `reach_consensus`."""
        return reach_consensus(answers, labels=self.names, multilabel=self._multilabel)

    def likeness(self, one: Target, other: Target) -> float:
        """1 where they are equal."""
        return float(one == other)


class FieldForm:
    """Values of fields, each with the words of the document that it rests on.

    Args:
        fields: the fields by name.
        column: another column where the answer may stand.
    """

    unreadable: Fault = "outside_schema"
    wanted = "an object of the task's fields"

    def __init__(self, fields: Mapping[str, FieldSpec], column: str = FIELDS) -> None:
        self.names = tuple(fields)
        self.columns = tuple(dict.fromkeys((FIELDS, column)))
        self._fields = fields
        self._reader = FieldReader(self.names)

    def read(self, raw: object) -> Extraction | None:
        """See `FieldReader.read`."""
        return self._reader.read(raw)

    def settle(self, answer: Answer, value: Input, /) -> Answer:
        """See `with_evidence`."""
        return with_evidence(answer, document_of(value), self._fields)

    def agree(self, answers: Sequence[Sequence[Answer]]) -> Consensus:
        """See `field_votes.agree_on_fields`."""
        return field_votes.agree_on_fields(answers, self._fields)

    def likeness(self, one: Target, other: Target) -> float:
        """Share of the fields of which they say the same."""
        if isinstance(one, Extraction) and isinstance(other, Extraction):
            return field_votes.likeness(one, other, self._fields)
        return 0.0


class TextForm:
    """A short text.

    Args:
        text: how long it may be, and its guards.
        column: another column where the answer may stand.
    """

    names: tuple[str, ...] = ()
    unreadable: Fault = "no_answer"
    wanted = "a text"

    def __init__(self, text: TextSpec, column: str = ANSWER) -> None:
        self.text = text
        self.columns = tuple(dict.fromkeys((ANSWER, column)))

    def read(self, raw: object) -> Text | None:
        """See `texts.read_text`."""
        return texts.read_text(raw, self.columns)

    def settle(self, answer: Answer, _: Input, /) -> Answer:
        """Whether a text keeps to its source is for the filters to say."""
        return answer

    def agree(self, answers: Sequence[Sequence[Answer]]) -> Consensus:
        """See `texts.choose_texts`."""
        return texts.choose_texts(answers)

    def likeness(self, one: Target, other: Target) -> float:
        """How much they say in the same words."""
        if isinstance(one, Text) and isinstance(other, Text):
            return texts.likeness(one, other)
        return 0.0


def form_of(answer: AnswerSpec, column: str = "") -> Form:
    """The form of the answers to a task.

    Args:
        answer: what they are made of.
        column: where a person's answers stand, and recorded fields and texts may stand too.
    """
    if answer.type == "extraction":
        return FieldForm(answer.fields, column or FIELDS)
    if answer.type == "generation":
        return TextForm(answer.text, column or ANSWER)
    return LabelForm(answer.labels, multilabel=answer.multilabel)
