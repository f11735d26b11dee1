"""Predictions and gold as matrices: the one form that every statistic reads."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from potstill.data import Example, Prediction, Target, labels_of
from potstill.errors import DataError

BoolArray = NDArray[np.bool_]


class Decided(Protocol):
    """Decisions that are right or wrong, and how sure the predictor was of each."""

    @property
    def right(self) -> BoolArray:
        """(decision,)."""
        ...

    @property
    def confidence(self) -> NDArray[np.float64]:
        """(decision,), NaN where the predictor gave none."""
        ...

    @property
    def n(self) -> int:
        """Number of decisions."""
        ...


@dataclass(frozen=True, slots=True)
class Decisions:
    """Bare decisions: see `Decided`."""

    right: BoolArray
    confidence: NDArray[np.float64]

    @property
    def n(self) -> int:
        """Number of decisions."""
        return len(self.right)


@dataclass(frozen=True, slots=True)
class Coded:
    """What was wanted and what was answered, row by row.

    Attributes:
        labels: the labels in their one fixed order.
        gold: (row, label), whether the label is wanted.
        predicted: (row, label), whether the label is answered; all False without an answer.
        answered: (row,), whether there is an answer within the labels.
        right: (row,), whether the answer is exactly what is wanted.
        confidence: (row,), NaN where the predictor gave none or no answer.
    """

    labels: tuple[str, ...]
    gold: BoolArray
    predicted: BoolArray
    answered: BoolArray
    right: BoolArray
    confidence: NDArray[np.float64]

    @property
    def n(self) -> int:
        """Number of rows."""
        return len(self.right)


def code(
    predictions: Sequence[Prediction],
    gold: Sequence[Example],
    *,
    labels: Sequence[str],
    multilabel: bool,
) -> Coded:
    """Put predictions beside gold.

    An answer outside the labels counts as no answer, and no answer counts as wrong.

    Raises:
        DataError: no rows, unequal lengths, a row without gold or with a label that is not
            the task's, or a confidence outside 0 to 1.
    """
    if not gold:
        raise DataError(
            "there is no gold row to evaluate on", hint="Give rows that a person labelled."
        )
    if len(predictions) != len(gold):
        raise DataError(f"{len(predictions)} predictions cannot be set beside {len(gold)} rows")
    place = {label: index for index, label in enumerate(labels)}
    wanted = np.zeros((len(gold), len(place)), dtype=bool)
    got = np.zeros_like(wanted)
    answered = np.zeros(len(gold), dtype=bool)
    for row, (prediction, example) in enumerate(zip(predictions, gold, strict=True)):
        wanted[row, _gold_places(example, place, multilabel=multilabel)] = True
        columns = _answer_places(prediction.target, place, multilabel=multilabel)
        if columns is not None:
            answered[row] = True
            got[row, columns] = True
    confidence = np.array([_confidence(prediction) for prediction in predictions])
    return Coded(
        labels=tuple(labels),
        gold=wanted,
        predicted=got,
        answered=answered,
        right=answered & (wanted == got).all(axis=1),
        confidence=np.where(answered, confidence, np.nan),
    )


def _gold_places(example: Example, place: Mapping[str, int], *, multilabel: bool) -> list[int]:
    target = example.target
    if target is None:
        raise DataError(f"row {example.id!r} has no gold label", hint="Leave such rows out.")
    if isinstance(target, str) == multilabel:
        kind = "labels, not one" if multilabel else "one label, not several"
        raise DataError(f"row {example.id!r} must have a tuple of {kind}: {target!r}")
    names = labels_of(target)
    unknown = [name for name in names if name not in place]
    if unknown:
        raise DataError(
            f"row {example.id!r} has the gold label {unknown[0]!r}, which is not among the "
            f"{len(place)} labels of the task",
            hint="Correct the row, or add the label.",
        )
    return [place[name] for name in names]


def _answer_places(
    target: Target | None, place: Mapping[str, int], *, multilabel: bool
) -> list[int] | None:
    """Columns of the answer; None where there is none within the labels."""
    if target is None or isinstance(target, str) == multilabel:
        return None
    names = labels_of(target)
    return [place[name] for name in names] if all(name in place for name in names) else None


def _confidence(prediction: Prediction) -> float:
    value = prediction.confidence
    if value is None:
        return float("nan")
    if not 0.0 <= value <= 1.0 + 1e-6:
        raise DataError(f"a confidence must lie between 0 and 1, not at {value}")
    return min(value, 1.0)
