"""Calibration and coverage: whether a confidence means what it says, and what it is good for."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from potstill.evaluate.coding import Decided
from potstill.evaluate.intervals import (
    LEVEL,
    FloatArray,
    Interval,
    basic_interval,
    percentile_intervals,
    ratio,
)
from potstill.evaluate.record import Record

BINS = 10
"""Equal-width bins of confidence."""

COVERAGE_POINTS = 40
"""At most this many thresholds on the coverage curve, evenly spaced in coverage."""

# Entries of the (resample, row) matrix that are held at a time: 16 MB as float32.
_DRAWS_AT_A_TIME = 4_000_000


@dataclass(frozen=True, slots=True, kw_only=True)
class Bin(Record):
    """One bin of the reliability curve.

    Attributes:
        low: lowest confidence of the bin, exclusive (inclusive in the first bin).
        high: highest confidence of the bin, inclusive.
        n: rows in the bin; empty bins are left out.
        confidence: their mean confidence.
        accuracy: the share of them that is right.
    """

    low: float
    high: float
    n: int
    confidence: float
    accuracy: Interval


@dataclass(frozen=True, slots=True, kw_only=True)
class Calibration(Record):
    """Whether confidences are honest.

    Attributes:
        n: rows with an answer and a confidence.
        ece: expected calibration error, the mean distance between confidence and accuracy.
        ece_by_chance: an error up to this is what perfectly calibrated confidences show on
            so many rows in 97.5% of samples; an `ece` below it is no evidence of
            miscalibration, and its interval reaches down to 0.
        confidence: mean confidence over the rows; above the accuracy is overconfident.
        accuracy: share of the same rows that is right.
        bins: the reliability curve, by rising confidence.
    """

    n: int
    ece: Interval
    ece_by_chance: float
    confidence: float
    accuracy: float
    bins: tuple[Bin, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class CoveragePoint(Record):
    """What is left, and how good it is, when only confident answers are taken.

    Attributes:
        threshold: answers of at least this confidence are taken.
        n: rows taken.
        coverage: their share of all rows, unanswered ones included.
        accuracy: share of the rows taken that is right.
    """

    threshold: float
    n: int
    coverage: float
    accuracy: Interval


def reliability_columns(coded: Decided) -> FloatArray:
    """What the reliability curve sums: rows, confidence and right answers of each bin.

    Args:
        coded: the answers.

    Returns:
        (row, 3 * BINS); rows without a confidence are zero.
    """
    known = ~np.isnan(coded.confidence)
    confidence = np.where(known, coded.confidence, 0.0)
    bins = _bin_of(confidence)
    member = np.zeros((coded.n, BINS))
    member[known, bins[known]] = 1.0
    return np.hstack([member, member * confidence[:, None], member * coded.right[:, None]])


def chance_ece(coded: Decided, *, resamples: int, seed: int) -> float:
    """The calibration error that chance alone explains, were every confidence honest.

    Consistency resampling: Bröcker & Smith, "Increasing the Reliability of Reliability
    Diagrams", Weather and Forecasting 22 (2007). Each row is right with the probability that
    its confidence states; the 97.5% quantile of the errors that follow is returned.

    Args:
        coded: the answers.
        resamples: number of simulated samples.
        seed: of the simulation.

    Returns:
        NaN where no row has a confidence.
    """
    confidence = coded.confidence[~np.isnan(coded.confidence)]
    if len(confidence) == 0:
        return float("nan")
    member = np.eye(BINS, dtype=np.float32)[_bin_of(confidence)]
    expected = confidence @ member
    rng = np.random.default_rng(seed)
    errors = np.empty(resamples)
    step = max(1, _DRAWS_AT_A_TIME // len(confidence))
    for start in range(0, resamples, step):
        size = min(step, resamples - start)
        right = rng.random((size, len(confidence)), dtype=np.float32) < confidence
        excess = right.astype(np.float32) @ member - expected
        errors[start : start + size] = np.abs(excess).sum(axis=1) / len(confidence)
    return float(np.quantile(errors, (1.0 + LEVEL) / 2.0))


def calibration(sums: FloatArray, resampled: FloatArray, by_chance: float) -> Calibration | None:
    """Expected calibration error and reliability curve.

    ``ECE = sum over bins of n_b / n * |accuracy_b - confidence_b|``: Guo et al., "On
    Calibration of Modern Neural Networks", ICML 2017, equation 3, with ten bins of equal
    width as in Naeini et al., AAAI 2015.

    Args:
        sums: (3 * BINS,), `reliability_columns` summed over the rows.
        resampled: (resample, 3 * BINS), the same of each resample.
        by_chance: the error that chance alone explains (`chance_ece`).

    Returns:
        None where no row has a confidence.
    """
    counts, confidences, rights = np.split(sums, 3)
    known = counts.sum()
    if known == 0:
        return None
    filled = np.flatnonzero(counts)
    accuracies = percentile_intervals(
        rights[filled] / counts[filled], _bin_accuracies(resampled)[:, filled], counts[filled]
    )
    bins = tuple(
        Bin(
            low=int(index) / BINS,
            high=(int(index) + 1) / BINS,
            n=int(counts[index]),
            confidence=float(confidences[index] / counts[index]),
            accuracy=accuracy,
        )
        for index, accuracy in zip(filled, accuracies, strict=True)
    )
    ece = basic_interval(float(_ece(sums[None])[0]), _ece(resampled), int(known))
    return Calibration(
        n=int(known),
        ece=replace(ece, low=0.0) if ece.value <= by_chance else ece,
        ece_by_chance=by_chance,
        confidence=float(confidences.sum() / known),
        accuracy=float(rights.sum() / known),
        bins=bins,
    )


def coverage_thresholds(coded: Decided) -> FloatArray:
    """Confidences at which the coverage curve is drawn, falling; empty without confidences."""
    known = np.sort(coded.confidence[~np.isnan(coded.confidence)])[::-1]
    if len(known) == 0:
        return known
    ranks = np.ceil(np.linspace(0, len(known), COVERAGE_POINTS + 1)[1:]).astype(int) - 1
    return np.unique(known[ranks])[::-1]


def coverage_columns(coded: Decided, thresholds: FloatArray) -> NDArray[np.bool_]:
    """What the coverage curve sums: rows taken, and rows taken that are right.

    Args:
        coded: the answers.
        thresholds: (point,).

    Returns:
        (row, 2 * point).
    """
    # A comparison with NaN is False: a row without a confidence is never taken.
    taken = coded.confidence[:, None] >= thresholds[None, :]
    return np.hstack([taken, taken & coded.right[:, None]])


def coverage_curve(
    thresholds: FloatArray, sums: FloatArray, resampled: FloatArray, rows: int
) -> tuple[CoveragePoint, ...]:
    """Accuracy against coverage.

    Geifman & El-Yaniv, "Selective Classification for Deep Neural Networks", NeurIPS 2017,
    equations 1 and 2 (accuracy is one minus their risk).

    Args:
        thresholds: (point,), falling.
        sums: (2 * point,), `coverage_columns` summed over the rows.
        resampled: (resample, 2 * point), the same of each resample.
        rows: number of all rows.
    """
    taken, right = np.split(sums, 2)
    many_taken, many_right = np.split(resampled, 2, axis=1)
    accuracies = percentile_intervals(right / taken, ratio(many_right, many_taken), taken)
    return tuple(
        CoveragePoint(
            threshold=float(threshold), n=int(n), coverage=float(n / rows), accuracy=accuracy
        )
        for threshold, n, accuracy in zip(thresholds, taken, accuracies, strict=True)
    )


def _bin_of(confidence: FloatArray) -> NDArray[np.intp]:
    """Index of the bin of each confidence; a bound belongs to the bin below it."""
    return np.clip(np.ceil(confidence * BINS).astype(np.intp) - 1, 0, BINS - 1)


def _bin_accuracies(resampled: FloatArray) -> FloatArray:
    counts, _, rights = np.split(resampled, 3, axis=1)
    return ratio(rights, counts)


def _ece(sums: FloatArray) -> FloatArray:
    """ECE (resample,) of sums (resample, 3 * BINS); NaN where no row has a confidence."""
    counts, confidences, rights = np.split(sums, 3, axis=1)
    return ratio(np.abs(rights - confidences).sum(axis=1), counts.sum(axis=1))
