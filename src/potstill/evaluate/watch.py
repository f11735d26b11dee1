"""`watch`: what a model did in production, held against its development rows."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from itertools import groupby
from math import log

import numpy as np
from numpy.typing import NDArray

from potstill.data.production import Kept
from potstill.errors import DataError
from potstill.evaluate.drift import (
    BETS,
    LABEL_BETS,
    Drift,
    Kind,
    Martingales,
    conformal_p_values,
)
from potstill.evaluate.estimate import Estimate, estimate_accuracy
from potstill.evaluate.intervals import FloatArray
from potstill.evaluate.record import Record
from potstill.runtime.reference import (
    CELLS,
    Reference,
    length_cell,
    length_middles,
    names_of,
    probability_cell,
    probability_middles,
)

ALPHA = 0.05
"""The probability of a false alarm, ever, over the whole life of a version of a model."""

_CHUNK_ROWS = 16_384


@dataclass(frozen=True, slots=True, kw_only=True)
class Watch(Record):
    """What became of one version of a model in production.

    Attributes:
        model: its name.
        version: its version.
        rows: rows of this version that were kept.
        other_versions: rows that other versions of the model answered; they do not count.
        first: time of the first row.
        last: time of the last row.
        reference_rows: development rows.
        alpha: probability of a false alarm, ever, however often one looks.
        drift: every quantity that was watched, the most suspicious first.
        deferred: share of the inputs that was deferred.
        deferred_before: the same among the development rows.
        answered: estimated accuracy of what was answered; None where nothing tells.
        guessed: the same with the guesses of what was deferred counted; None where nothing
            was deferred, or nothing tells.
        cost_usd: money paid for answers beside the machine, as far as it is known.
    """

    model: str
    version: str
    rows: int
    other_versions: int
    first: str
    last: str
    reference_rows: int
    alpha: float
    drift: tuple[Drift, ...]
    deferred: float
    deferred_before: float
    answered: Estimate | None
    guessed: Estimate | None
    cost_usd: float

    @property
    def alarms(self) -> tuple[Drift, ...]:
        """The quantities that drifted."""
        return tuple(drift for drift in self.drift if drift.alarm)


def watch(
    rows: Iterable[Kept], reference: Reference, *, version: str, alpha: float = ALPHA, seed: int = 0
) -> Watch:
    """Test for drift, and estimate the accuracy, of one version of a model.

    The same rows, with more at their end, continue the same tests: whoever calls this every
    hour or after every row is misled with a probability of at most alpha in all, as long as
    nothing is taken away from their beginning.

    Args:
        rows: what was kept, oldest first.
        reference: what the version remembers of its development rows.
        version: the version.
        alpha: probability of a false alarm.
        seed: breaks ties between equal values, the same way at every look.

    Raises:
        DataError: no row is of this version, or the reference holds no row.
    """
    if not reference.rows:
        raise DataError("the model remembers no development rows.", hint="Run its task again.")
    seen = _collect(rows, version)
    confidence, answered = np.array(seen.confidence), np.array(seen.answered)
    known = confidence >= 0
    given, guessed = confidence[known & answered], confidence[known]
    judged = reference.judged
    return Watch(
        model=seen.model,
        version=version,
        rows=len(seen.times),
        other_versions=seen.others,
        first=seen.times[0],
        last=seen.times[-1],
        reference_rows=reference.rows,
        alpha=alpha,
        drift=tuple(sorted(_test(seen, reference, alpha, seed), key=lambda drift: drift.p_value)),
        deferred=float(1.0 - answered.mean()),
        deferred_before=reference.deferred / reference.rows,
        answered=judged and estimate_accuracy(_histogram(given), judged, answered=True, seed=seed),
        guessed=judged and estimate_accuracy(_histogram(guessed), judged, answered=False, seed=seed)
        if not answered.all()
        else None,
        cost_usd=seen.cost_usd,
    )


@dataclass(slots=True)
class _Seen:
    """The rows of one version as columns, in the order of their arrival.

    Histogram cells are -1 where a row has no such value.
    """

    model: str = ""
    others: int = 0
    cost_usd: float = 0.0
    times: list[str] = field(default_factory=list[str])
    length: list[int] = field(default_factory=list[int])
    confidence: list[int] = field(default_factory=list[int])
    out_of_scope: list[int] = field(default_factory=list[int])
    answered: list[bool] = field(default_factory=list[bool])
    labels: list[tuple[str, ...]] = field(default_factory=list[tuple[str, ...]])


def _collect(rows: Iterable[Kept], version: str) -> _Seen:
    seen = _Seen()
    for row in rows:
        if row.version != version:
            seen.others += 1
            continue
        seen.model = row.model
        seen.cost_usd += row.cost_usd or 0.0
        given = row.prediction
        seen.times.append(row.at)
        seen.length.append(length_cell(row.length))
        seen.confidence.append(_probability_cell(given.confidence))
        seen.out_of_scope.append(_probability_cell(given.out_of_scope))
        seen.answered.append(given.deferred is None)
        seen.labels.append(names_of(given))
    if not seen.times:
        raise DataError(
            f"none of the {seen.others:,} rows is of version {version}.",
            hint="Serve this model for a while, or name the model that answered them.",
        )
    return seen


def _probability_cell(value: float | None) -> int:
    return -1 if value is None else probability_cell(value)


def _histogram(cells: NDArray[np.int64]) -> NDArray[np.int64]:
    return np.bincount(cells, minlength=CELLS)


@dataclass(frozen=True, slots=True)
class _Quantity:
    """One thing that is watched: its cells in production, and its histogram before."""

    kind: Kind
    name: str
    cells: NDArray[np.int64]
    before: NDArray[np.int64]

    def typical(self, histogram: NDArray[np.int64]) -> float | None:
        """What a person is told of a histogram; see `Drift`."""
        rows = histogram.sum()
        if not rows:
            return None
        if self.kind == "labels":
            return float(histogram[1] / rows)
        if self.name == "length":
            middle = np.searchsorted(histogram.cumsum(), rows / 2)
            return float(length_middles()[middle])
        return float(histogram @ probability_middles() / rows)


def _quantities(seen: _Seen, reference: Reference) -> list[_Quantity]:
    """What is watched; the reference alone decides it, so that every look watches the same."""
    found = [_Quantity("inputs", "length", np.array(seen.length), reference.length)]
    if reference.out_of_scope is not None:
        cells = np.array(seen.out_of_scope)
        found.append(_Quantity("inputs", "out_of_scope", cells, reference.out_of_scope))
    if reference.confidence.any():
        cells = np.array(seen.confidence)
        found.append(_Quantity("confidence", "confidence", cells, reference.confidence))
    for label, rows in reference.labels.items():
        cells = np.array([label in names for names in seen.labels], dtype=np.int64)
        found.append(_Quantity("labels", label, cells, np.array([reference.rows - rows, rows])))
    return found


def _test(seen: _Seen, reference: Reference, alpha: float, seed: int) -> Iterator[Drift]:
    groups = [(kind, [*group]) for kind, group in groupby(_quantities(seen, reference), _kind_of)]
    for at, (kind, watched) in enumerate(groups):
        shares = len(groups) * len(watched)  # of alpha: each quantity has one over this
        bets = LABEL_BETS if kind == "labels" else BETS
        martingales = Martingales(np.full(len(watched), log(shares / alpha)), bets)
        for p_values in _p_values(watched, np.random.default_rng((seed, at))):
            martingales.update(p_values)
        for stream, one in enumerate(watched):
            yield _drift(one, martingales, stream, log(shares), seen.times)


def _kind_of(quantity: _Quantity) -> Kind:
    return quantity.kind


def _p_values(watched: Sequence[_Quantity], ties: np.random.Generator) -> Iterator[FloatArray]:
    """P-values (row, stream), some thousand rows at a time."""
    rows = len(watched[0].cells)
    so_far = [one.before.copy() for one in watched]
    for start in range(0, rows, _CHUNK_ROWS):
        part = slice(start, min(start + _CHUNK_ROWS, rows))
        drawn: FloatArray = ties.random((part.stop - start, len(watched)))
        columns = [
            conformal_p_values(one.cells[part], counts, column)
            for one, counts, column in zip(watched, so_far, drawn.T, strict=True)
        ]
        yield np.stack(columns, axis=1)


def _drift(
    one: _Quantity, martingales: Martingales, stream: int, log_shares: float, times: list[str]
) -> Drift:
    alarmed, began = int(martingales.alarmed[stream]), int(martingales.began[stream])
    alarm = alarmed >= 0
    since = one.cells[began if alarm else 0 :]
    return Drift(
        kind=one.kind,
        name=one.name,
        p_value=min(1.0, float(np.exp(log_shares - martingales.log_peak[stream]))),
        alarm=alarm,
        began=times[began] if alarm else None,
        alarmed=times[alarmed] if alarm else None,
        before=one.typical(one.before),
        now=one.typical(np.bincount(since[since >= 0], minlength=len(one.before))),
    )
