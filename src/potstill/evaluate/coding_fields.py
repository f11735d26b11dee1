"""Extractions beside gold as counts: the one form that every statistic of fields reads."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from potstill.data import Example, Extraction, Prediction
from potstill.data.values import value_key
from potstill.errors import DataError
from potstill.evaluate.coding import BoolArray, Decisions
from potstill.evaluate.intervals import FloatArray

IntArray = NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class CodedFields:
    """What was wanted and what was answered, document by document.

    Attributes:
        fields: the fields in their one fixed order.
        values: (document, 3 * field), values that are both wanted and answered, answered, and
            wanted; a value counts once a document and field, upper-cased.
        spans: (document, 3), the same of exact places of all fields together; zero where the
            gold of a document has values without a place. None where no gold has a place.
        placed: (document,), whether the places of a document can be judged.
        right: (document, field), whether exactly the wanted values were answered.
        answered: (document,), whether there is an extraction at all.
        kept: (document, field), whether the field was answered and not left open.
        confidence: (document, field), NaN where the predictor gave none.
    """

    fields: tuple[str, ...]
    values: IntArray
    spans: IntArray | None
    placed: BoolArray
    right: BoolArray
    answered: BoolArray
    kept: BoolArray
    confidence: FloatArray

    @property
    def n(self) -> int:
        """Number of documents."""
        return len(self.right)

    @property
    def whole(self) -> BoolArray:
        """(document,), whether all fields are right."""
        return np.logical_and.reduce(self.right, axis=1)

    def decisions(self, field: int) -> Decisions:
        """What was said of one field, document by document."""
        return Decisions(self.right[:, field], self.confidence[:, field])

    def all_decisions(self) -> Decisions:
        """What was said of all fields, one decision a document and field."""
        return Decisions(self.right.ravel(), self.confidence.ravel())


def code_fields(
    predictions: Sequence[Prediction], gold: Sequence[Example], *, fields: Collection[str]
) -> CodedFields:
    """Put extractions beside gold.

    What is deferred or unsure counts as an answer here; `CodedFields.kept` tells it.

    Raises:
        DataError: no rows, unequal lengths, or gold that is no extraction of these fields.
    """
    if not gold:
        raise DataError(
            "there is no gold row to evaluate on", hint="Give rows whose values a person recorded."
        )
    if len(predictions) != len(gold):
        raise DataError(f"{len(predictions)} predictions cannot be set beside {len(gold)} rows")
    wanted = [_gold_of(example, fields) for example in gold]
    answers = [p.target if isinstance(p.target, Extraction) else None for p in predictions]
    got = [Extraction() if answer is None else answer for answer in answers]
    answered = np.array([answer is not None for answer in answers])

    counts = np.zeros((len(gold), 3, len(fields)), dtype=np.int64)
    kept = np.zeros((len(gold), len(fields)), dtype=bool)
    confidence = np.full(kept.shape, np.nan)
    for row, (mine, theirs, given) in enumerate(zip(got, wanted, predictions, strict=True)):
        for column, name in enumerate(fields):
            counts[row, :, column] = _counts(_values(mine, name), _values(theirs, name))
            kept[row, column] = given.answer is not None and name not in mine.unsure
            confidence[row, column] = (given.scores or {}).get(name, np.nan)
    right = (counts[:, 0] == counts[:, 1]) & (counts[:, 0] == counts[:, 2]) & answered[:, None]
    placed = np.array([_all_placed(extraction) for extraction in wanted])
    return CodedFields(
        fields=tuple(fields),
        values=counts.reshape(len(gold), -1),
        spans=_span_counts(got, wanted, placed),
        placed=placed,
        right=right,
        answered=answered,
        kept=kept & answered[:, None],
        confidence=np.where(answered[:, None], confidence, np.nan),
    )


def _gold_of(example: Example, fields: Collection[str]) -> Extraction:
    if not isinstance(example.target, Extraction):
        raise DataError(f"row {example.id!r} has no gold values", hint="Leave such rows out.")
    unknown = [name for name in example.target.fields if name not in fields]
    if unknown:
        raise DataError(
            f"row {example.id!r} has a value of {unknown[0]!r}, which is not among the "
            f"{len(fields)} fields of the task",
            hint="Correct the row, or add the field.",
        )
    return example.target


def _values(extraction: Extraction, name: str) -> set[str]:
    return {value_key(value.value) for value in extraction.of(name)}


def _spans(extraction: Extraction) -> set[tuple[str, int | None, int | None]]:
    held = extraction.fields.items()
    return {(name, value.start, value.end) for name, values in held for value in values}


def _all_placed(extraction: Extraction) -> bool:
    return all(start is not None and end is not None for _, start, end in _spans(extraction))


def _span_counts(
    got: Sequence[Extraction], wanted: Sequence[Extraction], placed: BoolArray
) -> IntArray | None:
    if not any(
        _spans(extraction) for extraction, whole in zip(wanted, placed, strict=True) if whole
    ):
        return None
    pairs = zip(got, wanted, placed, strict=True)
    return np.array(
        [
            _counts(_spans(mine), _spans(theirs)) if whole else (0, 0, 0)
            for mine, theirs, whole in pairs
        ]
    )


def _counts(mine: set[Any], theirs: set[Any]) -> tuple[int, int, int]:
    return len(mine & theirs), len(mine), len(theirs)
