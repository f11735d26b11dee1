"""What a predictor answers, what it leaves to others, and how right it was to do so."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from potstill.data import Example, Prediction, Target
from potstill.evaluate.intervals import (
    LEVEL,
    FloatArray,
    Interval,
    percentile_intervals,
    ratio,
    resampled_sums,
    share_interval,
)
from potstill.evaluate.record import Record


@dataclass(frozen=True, slots=True, kw_only=True)
class Selective(Record):
    """A predictor that may defer, judged on rows that have a label and rows that fit none.

    Attributes:
        n: rows, those that fit no label included.
        answered: rows that were answered.
        coverage: their share.
        error: share of the answers that are wrong; an answer to a row that fits no label is.
        outside: rows that fit no label.
        outside_deferred: share of those that were not answered; None without such rows.
        auroc: how well the score of being out of scope tells those rows from the others: the
            probability that it ranks a row that fits no label above one that does; None
            without such rows, or where the predictor has no such score.
    """

    n: int
    answered: int
    coverage: Interval
    error: Interval
    outside: int = 0
    outside_deferred: Interval | None = None
    auroc: Interval | None = None


def selective(
    predictions: Sequence[Prediction],
    gold: Sequence[Example],
    outside: Sequence[Prediction] = (),
    *,
    resamples: int,
    seed: int,
) -> Selective:
    """Coverage and selective risk, and how well what is out of scope was told.

    Geifman & El-Yaniv, "Selective Classification for Deep Neural Networks", NeurIPS 2017,
    equations 1 and 2.

    Args:
        predictions: of the rows that have a label.
        gold: those rows.
        outside: predictions of rows that fit no label.
        resamples: number of bootstrap resamples.
        seed: of the bootstrap.
    """
    everything = [*predictions, *outside]
    answered = np.array([given.answer is not None for given in everything])
    right = np.zeros(len(everything), dtype=bool)
    for at, (given, example) in enumerate(zip(predictions, gold, strict=True)):
        right[at] = _same(given.answer, example.target)
    columns = np.column_stack([answered, answered & ~right])
    sums = columns.sum(axis=0, dtype=float)
    many = resampled_sums(columns, resamples=resamples, seed=seed)
    rows = len(everything)
    coverage, error = percentile_intervals(
        np.array([sums[0] / rows, sums[1] / sums[0] if sums[0] else np.nan]),
        np.column_stack([many[:, 0] / rows, ratio(many[:, 1], many[:, 0])]),
        np.array([rows, int(sums[0])]),
    )
    return Selective(
        n=rows,
        answered=int(sums[0]),
        coverage=coverage,
        error=error,
        outside=len(outside),
        outside_deferred=share_interval(
            ~answered[len(predictions) :], resamples=resamples, seed=seed
        )
        if outside
        else None,
        auroc=_auroc_of(predictions, outside),
    )


def auroc(strangers: FloatArray, others: FloatArray) -> Interval:
    """Area under the receiver operating characteristic, with its 95% interval.

    The estimate is that of Mann and Whitney, ties counting one half; the variance is that of
    DeLong, DeLong & Clarke-Pearson, Biometrics 44 (1988), equation 6.

    Args:
        strangers: (row,) scores that should be high.
        others: (row,) scores that should be low.
    """
    above = _rank_within(strangers, others)
    below = 1.0 - _rank_within(others, strangers)
    value = float(above.mean())
    variance = sum(
        float(part.var(ddof=1)) / len(part) if len(part) > 1 else 0.25 for part in (above, below)
    )
    reach = _NORMAL_QUANTILE * variance**0.5
    return Interval(value, max(0.0, value - reach), min(1.0, value + reach))


_NORMAL_QUANTILE = 1.959963984540054
assert LEVEL == 0.95, "the quantile above is for 95%"


def _rank_within(scores: FloatArray, others: FloatArray) -> FloatArray:
    """For each score, the share of the others that lie below it; ties count one half."""
    ordered = np.sort(others)
    below = np.searchsorted(ordered, scores, side="left")
    up_to = np.searchsorted(ordered, scores, side="right")
    return (below + up_to) / (2.0 * len(others))


def _auroc_of(inside: Sequence[Prediction], outside: Sequence[Prediction]) -> Interval | None:
    scores = [
        np.array([np.nan if p.out_of_scope is None else p.out_of_scope for p in part])
        for part in (outside, inside)
    ]
    if not outside or not inside or any(np.isnan(part).any() for part in scores):
        return None
    return auroc(scores[0], scores[1])


def _same(answer: Target | None, target: Target | None) -> bool:
    if isinstance(answer, tuple) and isinstance(target, tuple):
        return set(answer) == set(target)
    return answer is not None and answer == target
