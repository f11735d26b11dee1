"""Bootstrap intervals, for any statistic that is a function of sums over rows.

Accuracy, F1, the bins of a reliability curve and the points of a coverage curve all follow
from sums over rows (how many are right, how many are predicted as a label, ...). So a
resample needs no pass over the rows in Python: with a matrix of how often each resample
drew each row, all sums of all resamples are one matrix product.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from potstill.errors import DataError
from potstill.evaluate.record import Record

FloatArray = NDArray[np.float64]

LEVEL = 0.95
"""Confidence level of every interval of the package."""

FEW_ROWS = 30
"""Below this many rows an interval says little, and a warning says so."""

# Entries of the (resample, row) matrix that are held at a time: 32 MB as float32.
_DRAWS_AT_A_TIME = 8_000_000


@dataclass(frozen=True, slots=True)
class Interval(Record):
    """An estimate with its 95% confidence interval.

    Attributes:
        value: the figure on the rows as they are.
        low: lower bound.
        high: upper bound.
    """

    value: float
    low: float
    high: float

    def __str__(self) -> str:
        return f"{self.value:.3f} [{self.low:.3f}, {self.high:.3f}]"


def resampled_sums(columns: NDArray[np.generic], *, resamples: int, seed: int) -> FloatArray:
    """Sums over rows, for resamples of the rows drawn with replacement.

    The nonparametric bootstrap of Efron, "Bootstrap methods: another look at the jackknife",
    Annals of Statistics 7 (1979). The same seed and number of rows draw the same resamples,
    which is what makes two predictors' figures comparable pair by pair.

    Args:
        columns: (row, column), what is to be summed.
        resamples: number of resamples.
        seed: of the random draws.

    Returns:
        sums (resample, column).

    Raises:
        DataError: there is no row.
    """
    rows = columns.shape[0]
    if rows == 0:
        raise DataError("there is no row to evaluate")
    summed = np.empty((resamples, columns.shape[1]))
    # Counts are small whole numbers, which float32 holds and adds exactly up to 2**24.
    narrow = columns.astype(np.float32)
    rng = np.random.default_rng(seed)
    step = max(1, _DRAWS_AT_A_TIME // rows)
    for start in range(0, resamples, step):
        size = min(step, resamples - start)
        draws = rng.integers(0, rows, size=(size, rows))
        draws += np.arange(size)[:, None] * rows
        times = np.bincount(draws.ravel(), minlength=size * rows).reshape(size, rows)
        summed[start : start + size] = times.astype(np.float32) @ narrow
    return summed


def percentile_intervals(
    values: FloatArray, resampled: FloatArray, rows: NDArray[np.generic] | int
) -> list[Interval]:
    """Percentile bootstrap intervals.

    Efron & Tibshirani 1993, An Introduction to the Bootstrap, section 13.3. Where a share is exactly 0 or 1 every resample is the same and the bootstrap would claim
    certainty; there the exact binomial bound for that many rows stands in (`exact_bounds`).

    Args:
        values: (figure,), on the rows as they are; shares between 0 and 1.
        resampled: (resample, figure); NaN where a resample does not define the figure.
        rows: (figure,) or one number: the rows that the figure is a share of.

    Returns:
        one interval a figure. A figure that is NaN, or of no row, gives 0 within [0, 1]:
        nothing is known.
    """
    tail = (1.0 - LEVEL) / 2.0
    lows, highs = _quantiles(resampled, tail)
    counts = np.broadcast_to(np.asarray(rows), values.shape)
    return [
        _interval(float(value), float(low), float(high), int(count))
        for value, low, high, count in zip(values, lows, highs, counts, strict=True)
    ]


def difference_interval(value: float, resampled: FloatArray) -> Interval:
    """Basic bootstrap interval (see `basic_interval`) of a difference of either sign.

    Args:
        value: the difference on the rows as they are.
        resampled: (resample,).
    """
    return _basic(value, resampled, floor=-1.0)


def basic_interval(value: float, resampled: FloatArray, rows: int) -> Interval:
    """Basic (reversed percentile) bootstrap interval, for a figure that small samples bias.

    Macro-F1 falls, and a calibration error rises, when rows are few, and both do so once more
    when those rows are resampled; a percentile interval then lies to one side of the truth.
    The basic interval ``[2v - q(1 - a), 2v - q(a)]`` (Davison & Hinkley 1997, Bootstrap
    Methods and their Application, equation 5.6) takes the bias off instead of adding it. In
    simulations of 1,000 rows over 77 labels it held the true macro-F1 in 95% of the samples,
    the percentile interval in 81%. It is cut to [0, 1] and widened to hold the estimate.

    Args:
        value: the figure on the rows as they are.
        resampled: (resample,).
        rows: number of rows, for the exact bound where all or none are right.
    """
    if value in (0.0, 1.0) and bool((resampled == value).all()):
        return Interval(value, *exact_bounds(value == 1.0, rows))
    return _basic(value, resampled, floor=0.0)


def exact_bounds(all_right: bool, rows: int) -> tuple[float, float]:
    """Exact bounds of a share of which every row, or none, was a success.

    Clopper & Pearson, "The use of confidence or fiducial limits illustrated in the case of
    the binomial", Biometrika 26 (1934), which has a closed form in these two cases.

    Args:
        all_right: whether all rows were successes; otherwise none was.
        rows: number of rows.
    """
    reach = 1.0 - ((1.0 - LEVEL) / 2.0) ** (1.0 / rows)
    return (1.0 - reach, 1.0) if all_right else (0.0, reach)


def share_interval(successes: NDArray[np.bool_], *, resamples: int, seed: int) -> Interval:
    """A share with its bootstrap interval.

    Args:
        successes: (row,).
        resamples: number of resamples.
        seed: of the random draws.

    Raises:
        DataError: there is no row.
    """
    sums = resampled_sums(successes[:, None], resamples=resamples, seed=seed)
    rows = len(successes)
    return percentile_intervals(np.array([successes.mean()]), sums / rows, rows)[0]


def ratio(part: FloatArray, whole: FloatArray) -> FloatArray:
    """``part / whole``, of equal shapes; NaN where the whole is empty."""
    return np.divide(part, whole, out=np.full_like(part, np.nan), where=whole > 0)


def _quantiles(resampled: FloatArray, tail: float) -> tuple[FloatArray, FloatArray]:
    """The two quantiles of each column, NaN where a column has no defined value."""
    bounds = np.full((2, resampled.shape[1]), np.nan)
    undefined = np.isnan(resampled)
    whole = ~undefined.any(axis=0)
    bounds[:, whole] = np.quantile(resampled[:, whole], (tail, 1.0 - tail), axis=0)
    for column in np.flatnonzero(~whole & ~undefined.all(axis=0)):
        defined = resampled[~undefined[:, column], column]
        bounds[:, column] = np.quantile(defined, (tail, 1.0 - tail))
    return bounds[0], bounds[1]


def _basic(value: float, resampled: FloatArray, *, floor: float) -> Interval:
    lows, highs = _quantiles(resampled[:, None], (1.0 - LEVEL) / 2.0)
    low, high = 2 * value - float(highs[0]), 2 * value - float(lows[0])
    return Interval(value, max(floor, min(value, low)), min(1.0, max(value, high)))


def _interval(value: float, low: float, high: float, rows: int) -> Interval:
    if rows == 0 or np.isnan(value) or np.isnan(low):
        return Interval(0.0, 0.0, 1.0)
    if value in (0.0, 1.0) and low == high:
        return Interval(value, *exact_bounds(value == 1.0, rows))
    return Interval(value, min(low, value), max(high, value))
