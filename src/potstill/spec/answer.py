"""What an answer to a task is made of: all that whoever reads or judges answers has to know."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal

from potstill.spec.base import Spec
from potstill.spec.extraction import FieldSpec
from potstill.spec.flagging import FlagSpec
from potstill.spec.generation import TextSpec

TaskType = Literal["classification", "multilabel", "extraction", "generation"]


class AnswerSpec(Spec):
    """The part of a task that ``model.json`` repeats."""

    type: TaskType
    """Kind of task."""
    labels: tuple[str, ...] = ()
    """The labels in their one fixed order."""
    fields: dict[str, FieldSpec] = {}
    """The fields of an extraction."""
    text: TextSpec = TextSpec()
    """The bounds of a text."""
    flag: FlagSpec | None = None
    """The rare label that is looked for."""

    @property
    def labelling(self) -> bool:
        """Whether an answer is a label or several."""
        return self.type in ("classification", "multilabel")

    @property
    def multilabel(self) -> bool:
        """Whether an input may have several labels, or none."""
        return self.type == "multilabel"

    @property
    def names(self) -> tuple[str, ...]:
        """What an answer consists of: the labels, or the fields; nothing where it is a text."""
        return self.labels or tuple(self.fields)

    @classmethod
    def of_card(cls, card: Mapping[str, Any]) -> AnswerSpec:
        """Read it out of ``model.json``, or of what a workflow says of itself.

        Args:
            card: its content.
        """
        known = (card.get("task") or {}).get("answer")
        if known is not None:
            return cls.model_validate(known)
        kind = card.get("type", "classification")
        if kind == "extraction":
            return cls(type=kind, fields=card.get("fields", {}))
        return cls(type=kind, labels=tuple(card.get("labels", ())))
