"""Average precision of one rare label: how well a predictor ranks the rows that have it."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from potstill.data import Prediction
from potstill.evaluate.coding import BoolArray, Coded
from potstill.evaluate.intervals import FloatArray, Interval, percentile_intervals

_DRAWS_AT_A_TIME = 4_000_000
"""Entries of the (resample, row) matrix that are held at a time."""


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
    wanted = coded.gold[:, coded.labels.index(label)]
    scores = np.array([_score(given, label) for given in predictions])
    order = np.argsort(-scores, kind="stable")
    wanted, scores = wanted[order], scores[order]
    ends = np.append(np.flatnonzero(np.diff(scores)), len(scores) - 1)
    value = _of(np.ones((1, len(wanted))), wanted, ends)[0]
    generator = np.random.default_rng(seed)
    step = max(1, _DRAWS_AT_A_TIME // len(wanted))
    parts = [
        _of(_draw(generator, min(step, resamples - start), len(wanted)), wanted, ends)
        for start in range(0, resamples, step)
    ]
    resampled = np.concatenate(parts)[:, None]
    return percentile_intervals(np.array([value]), resampled, int(wanted.sum()))[0]


def _score(given: Prediction, label: str) -> float:
    if given.scores is not None and label in given.scores:
        return given.scores[label]
    return float(given.target == label)


def _draw(generator: np.random.Generator, resamples: int, rows: int) -> FloatArray:
    """How often each resample drew each row (resample, row)."""
    share = np.full(rows, 1.0 / rows)
    return generator.multinomial(rows, share, size=resamples).astype(np.float64)


def _of(times: FloatArray, wanted: BoolArray, ends: NDArray[np.intp]) -> FloatArray:
    """Average precision of resamples (resample,); NaN where none of their rows is wanted.

    Args:
        times: how often each row counts (resample, row), by falling score.
        wanted: (row,).
        ends: the last row of each group of equal scores (group,).
    """
    reached = np.cumsum(times, axis=1)[:, ends]
    hits = np.cumsum(times * wanted, axis=1)[:, ends]
    precision = np.divide(hits, reached, out=np.zeros_like(hits), where=reached > 0)
    gained = np.diff(hits, axis=1, prepend=0.0)
    total = hits[:, -1]
    return np.divide(
        (precision * gained).sum(axis=1), total, out=np.full_like(total, np.nan), where=total > 0
    )
