"""Acceptance gates, and which figures a task measures at all."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal

from pydantic import model_validator

from potstill.spec.answer import TaskType
from potstill.spec.base import Spec
from potstill.spec.flagging import FlagSpec

GateName = Literal[
    "accuracy",
    "macro_f1",
    "micro_f1",
    "average_precision",
    "flag_precision",
    "flag_recall",
    "flag_cost",
    "span_f1",
    "value_f1",
    "rouge_l",
    "invented",
    "teacher_gap",
    "ece",
    "coverage",
    "answered_error",
    "latency_p95_ms",
    "usd_per_million",
]

_BY_TYPE: dict[TaskType, tuple[GateName, ...]] = {
    "classification": ("accuracy", "macro_f1", "micro_f1", "ece"),
    "multilabel": ("accuracy", "macro_f1", "micro_f1", "ece"),
    "extraction": ("value_f1", "span_f1", "ece", "coverage", "answered_error"),
    "generation": ("rouge_l", "invented"),
}


class Gate(Spec):
    """An acceptance gate: bounds on one figure of the report."""

    min: float | None = None
    """The least that passes."""
    max: float | None = None
    """The most that passes."""

    @model_validator(mode="after")
    def _bounds(self) -> Gate:
        if self.min is None and self.max is None:
            raise ValueError("a gate needs 'min' or 'max'")
        if self.min is not None and self.max is not None and self.min > self.max:
            raise ValueError(f"no figure is at least {self.min:g} and at most {self.max:g}")
        return self


def passed_bounds(figures: Mapping[str, float], accept: Mapping[Any, Gate]) -> list[str]:
    """The gates whose most is less than a figure, by name; what was not measured breaks none.

    Args:
        figures: what something costs to run, by the names of gates.
        accept: the gates.
    """
    return [
        name
        for name, gate in accept.items()
        if gate.max is not None and figures.get(name, gate.max) > gate.max
    ]


def measured_gates(
    kind: TaskType, *, flag: FlagSpec | None, defers: bool, taught: bool
) -> tuple[GateName, ...]:
    """The figures that gates of a task may bound.

    Args:
        kind: its type.
        flag: the rare label that it looks for.
        defers: whether the model may leave an answer open.
        taught: whether there is a teacher to stand beside.
    """
    found = _BY_TYPE[kind]
    if flag is not None:
        found = (*found, "average_precision", "flag_precision", "flag_recall")
        found = found if flag.costs is None else (*found, "flag_cost")
    if defers:
        found = (*found, "coverage", "answered_error")
    if taught:
        found = (*found, "teacher_gap")
    return (*found, "latency_p95_ms", "usd_per_million")
