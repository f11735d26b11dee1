"""What a model remembers of its development rows, so that production can be held against them.

A few histograms in ``model.json``: no text, no id, nothing that leads back to one row. Their
cells are fixed beforehand and the same for every model; cells that were cut by the rows
themselves would fit those better than any later row, and a test for drift would not be valid.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from potstill.data.example import Example, Prediction, labels_of
from potstill.data.extraction import Extraction
from potstill.data.values import value_key

CELLS = 64
"""Cells of every histogram."""

_LOGIT_REACH = 8.0
_LOGIT_WIDTH = 2.0 * _LOGIT_REACH / CELLS
_CELLS_PER_DOUBLING = 4

_ENOUGH_GOLD = 50
"""Gold rows from which silver ones do not count in how right the model was."""

Counts = NDArray[np.int64]


def probability_cell(value: float) -> int:
    """The cell of a probability: a quarter of a unit of its log-odds, cut off at 8."""
    value = min(max(value, 1e-9), 1.0 - 1e-9)
    place = (math.log(value / (1.0 - value)) + _LOGIT_REACH) / _LOGIT_WIDTH
    return min(max(int(place), 0), CELLS - 1)


def length_cell(characters: int) -> int:
    """The cell of a text's length: a quarter of a doubling."""
    return min(int(_CELLS_PER_DOUBLING * math.log2(1 + characters)), CELLS - 1)


def probability_middles() -> NDArray[np.float64]:
    """The probability in the middle of each cell, (cell,)."""
    odds = (np.arange(CELLS) + 0.5) * _LOGIT_WIDTH - _LOGIT_REACH
    return 1.0 / (1.0 + np.exp(-odds))


def length_middles() -> NDArray[np.float64]:
    """The length in the middle of each cell in characters, (cell,)."""
    return np.exp2((np.arange(CELLS) + 0.5) / _CELLS_PER_DOUBLING) - 1.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Judged:
    """How right the model was on its development rows, by confidence.

    Attributes:
        targets: whose targets judged: ``gold`` a person's, ``silver`` a teacher's.
        rows: (cell,), rows with a target by confidence.
        right: (cell,), those whose guess is right.
        answered: (cell,), those that were not deferred.
        answered_right: (cell,), those that were answered, and rightly.
    """

    targets: Literal["gold", "silver"]
    rows: Counts
    right: Counts
    answered: Counts
    answered_right: Counts


@dataclass(frozen=True, slots=True, kw_only=True)
class Reference:
    """How a model answered its development rows.

    Attributes:
        rows: how many they were.
        deferred: how many of them were deferred.
        labels: rows by predicted label, guesses included (multilabel: a row may count for
            several); every label of the model. Of an extraction by field that has a value.
        length: (cell,), rows by length.
        confidence: (cell,), rows by confidence.
        out_of_scope: (cell,), rows by the probability of being out of scope; None where the
            model has no such notion.
        judged: how right it was; None where no row had a target and a confidence.
    """

    rows: int
    deferred: int
    labels: Mapping[str, int]
    length: Counts
    confidence: Counts
    out_of_scope: Counts | None
    judged: Judged | None

    @classmethod
    def of(
        cls,
        predictions: Sequence[Prediction],
        examples: Sequence[Example],
        labels: Iterable[str],
    ) -> Reference:
        """What there is to remember of some rows.

        Args:
            predictions: of the model that ships, on rows that it was not trained on.
            examples: those rows; a target that is none of the labels says that the row fits
                none, and any answer to it is wrong.
            labels: of the model; the fields of an extraction.
        """
        counted = Counter(name for given in predictions for name in names_of(given))
        scopes = [given.out_of_scope for given in predictions if given.out_of_scope is not None]
        return cls(
            rows=len(predictions),
            deferred=sum(given.deferred is not None for given in predictions),
            labels={label: counted[label] for label in labels},
            length=_histogram(length_cell(len(example.text)) for example in examples),
            confidence=_histogram(
                probability_cell(given.confidence)
                for given in predictions
                if given.confidence is not None
            ),
            out_of_scope=_histogram(map(probability_cell, scopes)) if scopes else None,
            judged=_judge(predictions, examples),
        )

    @classmethod
    def from_json(cls, document: Mapping[str, Any]) -> Reference:
        """The inverse of `to_json`.

        Raises:
            KeyError: something is missing.
        """
        judged, scope = document["judged"], document["out_of_scope"]
        return cls(
            rows=document["rows"],
            deferred=document["deferred"],
            labels=dict(document["labels"]),
            length=_dense(document["length"]),
            confidence=_dense(document["confidence"]),
            out_of_scope=None if scope is None else _dense(scope),
            judged=None
            if judged is None
            else Judged(
                targets=judged["targets"],
                **{name: _dense(judged[name]) for name in _JUDGED},
            ),
        )

    def to_json(self) -> dict[str, Any]:
        """The part ``reference`` of ``model.json``: histograms as cell to rows, empty cells left out."""
        judged = self.judged
        return {
            "rows": self.rows,
            "deferred": self.deferred,
            "labels": dict(self.labels),
            "length": _sparse(self.length),
            "confidence": _sparse(self.confidence),
            "out_of_scope": None if self.out_of_scope is None else _sparse(self.out_of_scope),
            "judged": None
            if judged is None
            else {
                "targets": judged.targets,
                **{name: _sparse(getattr(judged, name)) for name in _JUDGED},
            },
        }


_JUDGED = ("rows", "right", "answered", "answered_right")


def names_of(prediction: Prediction) -> tuple[str, ...]:
    """The labels of a prediction, or the fields that it has values of; a guess counts as well."""
    target = prediction.target
    if isinstance(target, Extraction):
        return tuple(name for name, found in target.fields.items() if found)
    return labels_of(target)


def _judge(predictions: Sequence[Prediction], examples: Sequence[Example]) -> Judged | None:
    pairs = [
        (given, given.confidence, example)
        for given, example in zip(predictions, examples, strict=True)
        if example.target is not None and given.confidence is not None
    ]
    gold = [pair for pair in pairs if pair[2].is_gold]
    used = gold if len(gold) >= _ENOUGH_GOLD else pairs
    if not used:
        return None
    cells = np.array([probability_cell(confidence) for _, confidence, _ in used])
    right = np.array([_same(given.target, example.target) for given, _, example in used])
    answered = np.array([given.deferred is None for given, _, _ in used])
    return Judged(
        targets="gold" if len(gold) == len(used) else "silver",
        rows=_histogram(cells),
        right=_histogram(cells[right]),
        answered=_histogram(cells[answered]),
        answered_right=_histogram(cells[answered & right]),
    )


def _same(given: object, wanted: object) -> bool:
    if isinstance(given, tuple) and isinstance(wanted, tuple):
        return set(given) == set(wanted)
    if isinstance(given, Extraction) and isinstance(wanted, Extraction):
        return _keys(given) == _keys(wanted)
    return given == wanted


def _keys(extraction: Extraction) -> dict[str, set[str]]:
    """The values of every field that has any."""
    return {
        name: {value_key(value.value) for value in found}
        for name, found in extraction.fields.items()
        if found
    }


def _histogram(cells: Iterable[int]) -> Counts:
    return np.bincount(np.fromiter(cells, dtype=np.int64), minlength=CELLS)


def _sparse(counts: Counts) -> dict[str, int]:
    return {str(cell): int(counts[cell]) for cell in np.flatnonzero(counts)}


def _dense(cells: Mapping[str, int]) -> Counts:
    counts = np.zeros(CELLS, dtype=np.int64)
    for cell, rows in cells.items():
        counts[int(cell)] = rows
    return counts
