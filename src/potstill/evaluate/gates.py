"""Acceptance gates: bounds that a task sets on figures of its report."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from potstill.evaluate.record import Record
from potstill.spec.task import Gate


@dataclass(frozen=True, slots=True, kw_only=True)
class GateResult(Record):
    """Whether one gate was met.

    Attributes:
        name: the figure.
        value: the figure as measured; None where it is not known.
        min: least value allowed; None without one.
        max: greatest value allowed; None without one.
        passed: whether the gate was met. A figure that is not known fails.
        reason: why it failed, in a sentence; empty where it passed.
    """

    name: str
    value: float | None
    min: float | None
    max: float | None
    passed: bool
    reason: str = ""


def check_gates(
    accept: Mapping[str, Gate], figures: Mapping[str, float | None]
) -> list[GateResult]:
    """Hold figures against gates; a bound that is met exactly is met.

    Args:
        accept: the task's gates, by figure.
        figures: what was measured, as `Report.figures` gives it.
    """
    return [_check(str(name), gate, figures.get(name)) for name, gate in accept.items()]


def _check(name: str, gate: Gate, value: float | None) -> GateResult:
    reason = ""
    if value is None:
        reason = f"{name} is not known: it was not measured in this run."
    elif gate.min is not None and not value >= gate.min:
        reason = f"{name} is {value:.4g}, below the least allowed, {gate.min:.4g}."
    elif gate.max is not None and not value <= gate.max:
        reason = f"{name} is {value:.4g}, above the most allowed, {gate.max:.4g}."
    return GateResult(
        name=name, value=value, min=gate.min, max=gate.max, passed=not reason, reason=reason
    )
