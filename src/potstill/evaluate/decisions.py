"""What is said of one field, document by document: how sure, how often, how right."""

from __future__ import annotations

from dataclasses import dataclass

from potstill.evaluate.calibration import Calibration, CoveragePoint
from potstill.evaluate.intervals import Interval
from potstill.evaluate.record import Record


@dataclass(frozen=True, slots=True, kw_only=True)
class FieldDecisions(Record):
    """The decisions on one field; one is right when exactly the wanted values were said.

    Attributes:
        field: its name.
        n: documents.
        accuracy: share of them on which the field is right, absence included.
        deferred: documents of which the field was left open.
        coverage: share of the documents whose field was answered.
        error: share of those answers that are wrong.
        calibration: whether the confidences of the field are honest; None without them.
        curve: accuracy against coverage, by falling confidence.
    """

    field: str
    n: int
    accuracy: Interval
    deferred: int
    coverage: Interval
    error: Interval
    calibration: Calibration | None
    curve: tuple[CoveragePoint, ...]
