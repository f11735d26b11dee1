"""Calibration on the graph that ships: one temperature, and for multilabel a threshold a label.

Quantisation moves logits, so a temperature fitted on the trained weights would be one for
another model. The logits that come in here are those of the exported graph.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from potstill.data.example import Example
from potstill.runtime.decision import Decision

_ENOUGH_GOLD = 50
"""Gold rows from which silver ones are left out: they say how right the student is, not how
like its teacher."""

_ENOUGH_POSITIVES = 10
"""Rows of a label from which its threshold is fitted; below, it stays at one half."""


def calibrate(
    decision: Decision, logits: NDArray[np.float32], dev: Sequence[Example]
) -> tuple[Decision, dict[str, Any]]:
    """Fit the temperature (Guo et al. 2017) and the thresholds on development rows.

    The targets are smoothed by one pseudo-count a side, as Platt (1999) has it, so that a
    development split without a single error does not drive the temperature to zero.

    Args:
        decision: label order and kind; its temperature and thresholds are replaced.
        logits: (row, label) of the exported graph.
        dev: the rows, in the same order; rows without a target are left out.

    Returns:
        The fitted decision, and the facts for ``model.json``: rows, whose targets, and the
        negative log-likelihood of the smoothed targets, which the fit minimises, before and
        after, in nats a row.
    """
    used = calibrating_rows(dev)
    kind = "gold" if used and all(dev[at].is_gold for at in used) else "silver"
    base = replace(
        decision,
        temperature=1.0,
        thresholds=(0.5,) * len(decision.labels) if decision.multilabel else (),
    )
    if not used:
        return base, {"rows": 0, "targets": None, "temperature": 1.0}
    chosen = logits[used].astype(np.float64)
    hot = _hot([dev[at].target for at in used], decision.labels)
    smooth = _smoothed(hot, multilabel=decision.multilabel)
    temperature = _fit_temperature(chosen, smooth, multilabel=decision.multilabel)
    fitted = replace(base, temperature=temperature)
    if decision.multilabel:
        scores = fitted.probabilities(chosen.astype(np.float32))
        fitted = replace(
            fitted, thresholds=tuple(map(_threshold, scores.T, hot.T.astype(np.bool_)))
        )
    return fitted, {
        "rows": len(used),
        "targets": kind,
        "temperature": temperature,
        "nll_before": _nll(chosen, smooth, 1.0, multilabel=decision.multilabel),
        "nll_after": _nll(chosen, smooth, temperature, multilabel=decision.multilabel),
    }


def calibrating_rows(dev: Sequence[Example]) -> list[int]:
    """Numbers of the rows that a decision is fitted to: gold alone where there is enough of it.

    Args:
        dev: development rows; those without a target are left out.
    """
    rows = [at for at, example in enumerate(dev) if example.target is not None]
    gold = [at for at in rows if dev[at].is_gold]
    return gold if len(gold) >= _ENOUGH_GOLD else rows


def _hot(targets: Sequence[Any], labels: tuple[str, ...]) -> NDArray[np.float64]:
    place = {label: at for at, label in enumerate(labels)}
    hot = np.zeros((len(targets), len(labels)))
    for row, target in enumerate(targets):
        for label in (target,) if isinstance(target, str) else target:
            hot[row, place[label]] = 1.0
    return hot


def _smoothed(hot: NDArray[np.float64], *, multilabel: bool) -> NDArray[np.float64]:
    """Targets (row, label) that leave a little doubt, the less the more rows there are."""
    rows, labels = hot.shape
    doubt = 1.0 / (rows + 2.0)
    if multilabel:
        return hot * (1.0 - 2.0 * doubt) + doubt
    return hot * (1.0 - doubt) + (1.0 - hot) * doubt / max(labels - 1, 1)


def _fit_temperature(
    logits: NDArray[np.float64], targets: NDArray[np.float64], *, multilabel: bool
) -> float:
    from scipy.optimize import minimize_scalar

    def loss(log_temperature: float) -> float:
        return _nll(logits, targets, float(np.exp(log_temperature)), multilabel=multilabel)

    found: Any = minimize_scalar(
        loss,
        bounds=(np.log(0.02), np.log(50.0)),
        method="bounded",
    )
    return float(np.exp(found.x))


def _nll(
    logits: NDArray[np.float64],
    targets: NDArray[np.float64],
    temperature: float,
    *,
    multilabel: bool,
) -> float:
    """Mean negative log-likelihood a row, in nats; for multilabel summed over its labels."""
    scaled = logits / temperature
    if multilabel:
        each = np.logaddexp(0.0, scaled) - targets * scaled
        return float(each.sum(axis=1).mean())
    scaled -= scaled.max(axis=1, keepdims=True)
    log_probability = scaled - np.log(np.exp(scaled).sum(axis=1, keepdims=True))
    return float(-(targets * log_probability).sum(axis=1).mean())


def _threshold(scores: NDArray[np.float64], hot: NDArray[np.bool_]) -> float:
    """The threshold of best F1 for one label, the one nearest to one half among equals.

    Args:
        scores: (row) probabilities of the label.
        hot: (row) whether the label is right.
    """
    if hot.sum() < _ENOUGH_POSITIVES:
        return 0.5
    grid = np.linspace(0.05, 0.95, 37)
    answered = scores[None, :] >= grid[:, None]
    right = (answered & hot).sum(axis=1)
    f1 = 2.0 * right / (answered.sum(axis=1) + hot.sum())
    best = grid[f1 >= f1.max() - 1e-12]
    return float(best[np.abs(best - 0.5).argmin()])
