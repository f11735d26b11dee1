"""How right a model still is, estimated from its confidence alone.

The estimate assumes one thing: **an answer of a given confidence is as often right in
production as it was on the development rows.** Then a change of the inputs moves the accuracy
only as far as it moves the confidence, and the mean confidence, calibrated on those rows, is
the accuracy (Guillory et al., "Predicting with Confidence on Unseen Distributions", ICCV 2021,
which compares such estimates under shift). What a label means may not have changed, and inputs
that fit no label must be told by the confidence, as far as there are any. Where the assumption
fails, the truth lies outside of the interval, and labels are the only remedy.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from potstill.evaluate.intervals import LEVEL, FloatArray, Interval
from potstill.evaluate.record import Record
from potstill.runtime.reference import Judged, probability_middles

RESAMPLES = 1000

_NEWTON_STEPS = 25
_RIDGE = 0.01


@dataclass(frozen=True, slots=True, kw_only=True)
class Estimate(Record):
    """What the accuracy probably is, without a single label.

    Attributes:
        n: production rows with an answer and a confidence.
        accuracy: share of them that is right, with a 95% interval that holds if the assumption
            of this module does; it covers the few development rows that the confidence was
            calibrated on, and the chance in which production rows are right.
        before: share of the development rows that was right.
        targets: whose targets judged the development rows; ``silver`` makes this an estimate of
            the agreement with the teacher.
        reference_rows: development rows with a target.
    """

    n: int
    accuracy: Interval
    before: float
    targets: Literal["gold", "silver"]
    reference_rows: int


def estimate_accuracy(
    cells: NDArray[np.int64], judged: Judged, *, answered: bool, seed: int = 0
) -> Estimate | None:
    """Estimate the accuracy of production rows from their confidences.

    The calibration is Platt's (1999): the log-odds of being right are a straight line in the
    log-odds of the confidence, fitted to the development rows. The interval resamples those
    rows, fits anew, and draws how many of the production rows are right.

    Args:
        cells: (cell,), production rows by confidence.
        judged: how right the model was on its development rows.
        answered: whether the rows are those that were answered; otherwise guesses count too.
        seed: of the resamples.

    Returns:
        None where there is nothing to estimate from, or nothing to estimate.
    """
    rows = judged.answered if answered else judged.rows
    right = judged.answered_right if answered else judged.right
    known, n = int(rows.sum()), int(cells.sum())
    if known == 0 or n == 0:
        return None
    rng = np.random.default_rng(seed)
    # Half a row more on either side, as Jeffreys has it: forty rows without a mistake do not
    # say that there are none.
    half = 0.5 * rows / known
    outcomes = np.concatenate([right + half, rows - right + half])
    drawn = rng.multinomial(known, outcomes / outcomes.sum(), size=RESAMPLES).astype(float)
    many = _calibrated(drawn)
    here = _calibrated(outcomes[None])[0]
    shares = rng.binomial(cells, many).sum(axis=1) / n
    low, high = np.quantile(shares, [(1.0 - LEVEL) / 2.0, (1.0 + LEVEL) / 2.0])
    value = float(here @ cells) / n
    return Estimate(
        n=n,
        accuracy=Interval(value, min(value, float(low)), max(value, float(high))),
        before=float(right.sum()) / known,
        targets=judged.targets,
        reference_rows=known,
    )


def _calibrated(outcomes: FloatArray) -> FloatArray:
    """The probability of being right in each cell, (resample, cell).

    Newton's method for a logistic regression on the log-odds of the confidence. A faint prior
    that the confidence is what it says keeps the line steady where all rows are right.

    Args:
        outcomes: (resample, 2 * cell), how many rows were right in each cell, and how many wrong.
    """
    right, wrong = np.split(outcomes, 2, axis=1)
    middles = probability_middles()
    odds = np.log(middles / (1.0 - middles))
    features = np.stack([np.ones_like(odds), odds])
    prior = np.array([0.0, 1.0])
    line = np.tile(prior, (len(right), 1))
    total = right + wrong
    for _ in range(_NEWTON_STEPS):
        chance = 1.0 / (1.0 + np.exp(-np.clip(line @ features, -30.0, 30.0)))
        slope = (right - total * chance) @ features.T - _RIDGE * (line - prior)
        weight = total * chance * (1.0 - chance)
        bend = np.einsum("rc,ic,jc->rij", weight, features, features) + _RIDGE * np.eye(2)
        step = np.linalg.solve(bend, slope[:, :, None])[:, :, 0]
        line += np.clip(step, -2.0, 2.0)
    return 1.0 / (1.0 + np.exp(-np.clip(line @ features, -30.0, 30.0)))
