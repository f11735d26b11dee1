"""Average precision of one rare label: how well a predictor ranks the rows that have it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from potstill.data import Prediction
from potstill.evaluate.coding import BoolArray, Coded
from potstill.evaluate.intervals import (
    FloatArray,
    Interval,
    difference_interval,
    percentile_intervals,
)
from potstill.evaluate.record import Record
from potstill.spec.flagging import Costs

_DRAWS_AT_A_TIME = 4_000_000
"""Entries of the (resample, row) matrix that are held at a time."""


COST_ROWS = 1000
"""Rows that a cost is told for."""


@dataclass(frozen=True, slots=True, kw_only=True)
class IdleCosts(Record):
    """What `COST_ROWS` rows cost without any model, in the unit of the task's costs.

    Attributes:
        nothing: where nothing is flagged: the misses.
        everything: where all is flagged: the false alarms.
    """

    nothing: float
    everything: float

    @classmethod
    def of(cls, coded: Coded, label: str, costs: Costs) -> IdleCosts:
        """Count the rows that have the label, and the others."""
        share = float(coded.gold[:, coded.labels.index(label)].mean())
        return cls(
            nothing=COST_ROWS * share * costs.miss,
            everything=COST_ROWS * (1.0 - share) * costs.false_alarm,
        )


def cost_shares(
    hits: FloatArray, flagged: FloatArray, gold: FloatArray, costs: Costs
) -> FloatArray:
    """What misses and false alarms cost, as a sum over rows of shares of the dearer of the two.

    Args:
        hits: flagged rows that have the label, of one or many resamples (...,).
        flagged: flagged rows (...,).
        gold: rows that have the label (...,).
        costs: of both kinds of errors.
    """
    spent = costs.miss * (gold - hits) + costs.false_alarm * (flagged - hits)
    return spent / max(costs.miss, costs.false_alarm)


def in_cost(share: Interval, costs: Costs) -> Interval:
    """A mean of `cost_shares`, or a difference of two, as the cost of `COST_ROWS` rows."""
    unit = COST_ROWS * max(costs.miss, costs.false_alarm)
    return Interval(unit * share.value, unit * share.low, unit * share.high)


def average_precision(
    predictions: Sequence[Prediction], coded: Coded, label: str, *, resamples: int, seed: int
) -> Interval:
    """Average precision with its 95% interval.

    The sum of the precisions at each threshold, weighted by the recall that it adds, without
    interpolation, as in scikit-learn. A predictor without scores ranks what it answers with the
    label above all else.

    Args:
        predictions: one a row.
        coded: the same rows, as matrices.
        label: the label that is looked for.
        resamples: number of bootstrap resamples.
        seed: of the bootstrap.

    Returns:
        0 within [0, 1] where no row has the label: nothing is known.
    """
    ranking = _Ranking.of(predictions, coded, label)
    value = ranking.precision(np.ones((1, coded.n)))
    resampled = _resampled([ranking], coded.n, resamples, seed)
    return percentile_intervals(value, resampled, int(ranking.wanted.sum()))[0]


def average_precision_difference(
    predictions: tuple[Sequence[Prediction], Sequence[Prediction]],
    coded: Coded,
    label: str,
    *,
    resamples: int,
    seed: int,
) -> Interval:
    """Difference of two average precisions, first minus second, both resampled with the same rows.

    Args:
        predictions: of the first and the second predictor, one a row.
        coded: the same rows, as matrices.
        label: the label that is looked for.
        resamples: number of bootstrap resamples.
        seed: of the bootstrap.
    """
    rankings = [_Ranking.of(given, coded, label) for given in predictions]
    first, second = (ranking.precision(np.ones((1, coded.n)))[0] for ranking in rankings)
    resampled = _resampled(rankings, coded.n, resamples, seed)
    return difference_interval(float(first - second), resampled[:, 0] - resampled[:, 1])


@dataclass(frozen=True, slots=True, eq=False)
class _Ranking:
    """Rows by falling score.

    Attributes:
        order: their numbers (row,).
        wanted: whether they have the label, in that order (row,).
        ends: the last row of each group of equal scores, in that order (group,).
    """

    order: NDArray[np.intp]
    wanted: BoolArray
    ends: NDArray[np.intp]

    @classmethod
    def of(cls, predictions: Sequence[Prediction], coded: Coded, label: str) -> _Ranking:
        scores = np.array([_score(given, label) for given in predictions])
        order = np.argsort(-scores, kind="stable")
        ends = np.append(np.flatnonzero(np.diff(scores[order])), len(scores) - 1)
        return cls(order, coded.gold[order, coded.labels.index(label)], ends)

    def precision(self, times: FloatArray) -> FloatArray:
        """Average precision of resamples (resample,); NaN where none of their rows is wanted.

        Args:
            times: how often each row counts (resample, row).
        """
        times = times[:, self.order]
        reached = np.cumsum(times, axis=1)[:, self.ends]
        hits = np.cumsum(times * self.wanted, axis=1)[:, self.ends]
        precision = np.divide(hits, reached, out=np.zeros_like(hits), where=reached > 0)
        gained = np.diff(hits, axis=1, prepend=0.0)
        total = hits[:, -1]
        unknown = np.full_like(total, np.nan)
        return np.divide((precision * gained).sum(axis=1), total, out=unknown, where=total > 0)


def _resampled(rankings: Sequence[_Ranking], rows: int, resamples: int, seed: int) -> FloatArray:
    """Average precision of each ranking in the same resamples (resample, ranking)."""
    generator = np.random.default_rng(seed)
    step = max(1, _DRAWS_AT_A_TIME // rows)
    parts: list[FloatArray] = []
    for start in range(0, resamples, step):
        times = _draw(generator, min(step, resamples - start), rows)
        parts.append(np.stack([ranking.precision(times) for ranking in rankings], axis=1))
    return np.concatenate(parts)


def _score(given: Prediction, label: str) -> float:
    if given.scores is not None and label in given.scores:
        return given.scores[label]
    return float(given.target == label)


def _draw(generator: np.random.Generator, resamples: int, rows: int) -> FloatArray:
    """How often each resample drew each row (resample, row)."""
    share = np.full(rows, 1.0 / rows)
    return generator.multinomial(rows, share, size=resamples).astype(np.float64)
