"""Learn from rows that fit no label how such rows look to the model."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from potstill.runtime.deferral import Scope

_ENOUGH_OUTSIDE = 10
"""Rows of either kind below which a curve between them would be guesswork."""

_WEAK_PENALTY = 100.0
"""Inverse strength: it only keeps the curve finite where the two kinds do not overlap."""


def fit_scope(
    inside: NDArray[np.float64], outside: NDArray[np.float64], *, share: float | None = None
) -> Scope | None:
    """A logistic curve of the energy between rows of the two kinds.

    Args:
        inside: (row) energies of rows that have a label.
        outside: (row) energies of rows that fit none.
        share: how frequent such rows are where the model will work; None takes them to be as
            frequent as here.

    Returns:
        The curve; None where there are too few rows, or where the energy does not tell them
        apart.
    """
    if min(len(inside), len(outside)) < _ENOUGH_OUTSIDE:
        return None
    from sklearn.linear_model import LogisticRegression

    energies = np.concatenate([inside, outside])
    is_outside = np.repeat([False, True], [len(inside), len(outside)])
    weight = np.ones(len(energies))
    if share is not None:
        weight[is_outside] = share / (1.0 - share) * len(inside) / len(outside)
    middle, spread = float(energies.mean()), float(energies.std()) or 1.0
    curve = LogisticRegression(C=_WEAK_PENALTY).fit(
        ((energies - middle) / spread)[:, None], is_outside, sample_weight=weight
    )
    slope = float(curve.coef_[0, 0]) / spread
    if slope >= 0.0:
        return None
    return Scope(slope, float(curve.intercept_[0]) - slope * middle)
