"""The threshold from which a rare label is flagged, chosen on development rows.

The rows that choose a threshold flatter it a little, and with few rows of the label they say
little at all. So each figure comes with an exact lower bound, and the report judges the threshold
once more on rows that had no part in it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from potstill.data.example import Example
from potstill.export.calibrate import calibrating_rows
from potstill.runtime.decision import Decision, Flag
from potstill.spec.flagging import Costs, FlagSpec

_ENOUGH_POSITIVES = 10
"""Rows of the label from which costs are counted; below, the probability itself decides."""

_LEVEL = 0.95
"""Of the lower bounds, one-sided."""


@dataclass(frozen=True, slots=True)
class Counted:
    """What each threshold would have done, from flagging everything to flagging nothing.

    Attributes:
        thresholds: (threshold,), ascending.
        right: flagged rows that have the label (threshold,).
        flagged: flagged rows (threshold,).
        positives: rows that have the label.
    """

    thresholds: NDArray[np.float64]
    right: NDArray[np.int64]
    flagged: NDArray[np.int64]
    positives: int

    @classmethod
    def of(cls, scores: NDArray[np.float64], wanted: NDArray[np.bool_]) -> Counted:
        """Count at a threshold between each two neighbouring scores.

        Args:
            scores: (row,) probabilities of the label.
            wanted: (row,) whether a row has it.
        """
        known = np.unique(scores)
        between = (known[1:] + known[:-1]) / 2.0
        thresholds = np.concatenate([[0.0], between, [np.nextafter(known[-1], 2.0)]])
        ascending, hits = np.sort(scores), np.sort(scores[wanted])
        return cls(
            thresholds,
            len(hits) - np.searchsorted(hits, thresholds),
            len(ascending) - np.searchsorted(ascending, thresholds),
            len(hits),
        )

    @property
    def precision(self) -> NDArray[np.float64]:
        """Share of the flagged rows that have the label; 0 where none is flagged."""
        return self.right / np.maximum(self.flagged, 1)

    @property
    def recall(self) -> NDArray[np.float64]:
        """Share of the rows with the label that are flagged; 0 without such rows."""
        return self.right / max(self.positives, 1)


def fit_flag(
    decision: Decision, logits: NDArray[np.float32], dev: Sequence[Example], spec: FlagSpec
) -> tuple[Decision, dict[str, Any]]:
    """Choose the threshold that the task asks for.

    Args:
        decision: calibrated.
        logits: (row, label) of the exported graph.
        dev: the rows, in the same order; rows without a target are left out.
        spec: what the threshold is to achieve.

    Returns:
        The decision with its flag, and the facts for ``model.json``: threshold, rows, positives,
        precision and recall with their lower bounds, and a sentence that says so.
    """
    used = calibrating_rows(dev)
    column = decision.labels.index(spec.label)
    scores = decision.probabilities(logits[used])[:, column]
    wanted = np.array([dev[at].target == spec.label for at in used], dtype=np.bool_)
    threshold, remark = choose_threshold(scores, wanted, spec)
    facts = {"label": spec.label, "threshold": threshold, **_figures(scores >= threshold, wanted)}
    facts["statement"] = f"{_statement(facts)} {remark}".strip()
    return replace(decision, flag=Flag(spec.label, threshold)), facts


def choose_threshold(
    scores: NDArray[np.float64], wanted: NDArray[np.bool_], spec: FlagSpec
) -> tuple[float, str]:
    """The threshold that does best what the task asks for.

    Args:
        scores: (row,) probabilities of the label.
        wanted: (row,) whether a row has it.
        spec: what the threshold is to achieve.

    Returns:
        The threshold, and a remark where it is not quite what was asked for.
    """
    if spec.costs is not None:
        return _cheapest(scores, wanted, spec.costs)
    if not wanted.any():
        return 0.5, "No development row has the label, so that one half stands in."
    counted = Counted.of(scores, wanted)
    if spec.recall is not None:
        return float(counted.thresholds[counted.recall >= spec.recall][-1]), ""
    precise = counted.thresholds[counted.precision >= (spec.precision or 0.0)]
    if len(precise):
        return float(precise[0]), ""
    best = float(counted.thresholds[counted.precision.argmax()])
    return best, f"No threshold reaches the precision of {spec.precision:g} that is asked for."


def _cheapest(
    scores: NDArray[np.float64], wanted: NDArray[np.bool_], costs: Costs
) -> tuple[float, str]:
    """Where misses and false alarms cost least, of equals nearest to what probability says.

    A calibrated probability needs no rows to choose by: a text is flagged from
    ``false_alarm / (false_alarm + miss)`` on (Elkan 2001, "The Foundations of Cost-Sensitive
    Learning", equation 2).
    """
    fair = costs.false_alarm / (costs.false_alarm + costs.miss)
    if wanted.sum() < _ENOUGH_POSITIVES:
        few = f"Fewer than {_ENOUGH_POSITIVES} rows have the label: the costs alone decided."
        return fair, few
    counted = Counted.of(scores, wanted)
    misses, alarms = counted.positives - counted.right, counted.flagged - counted.right
    spent = costs.miss * misses + costs.false_alarm * alarms
    cheapest = counted.thresholds[spent == spent.min()]
    return float(cheapest[np.abs(cheapest - fair).argmin()]), ""


def _figures(flagged: NDArray[np.bool_], wanted: NDArray[np.bool_]) -> dict[str, Any]:
    right, of, positives = (int(part.sum()) for part in (flagged & wanted, flagged, wanted))
    return {
        "rows": len(wanted),
        "positives": positives,
        "flagged": of,
        "precision": right / max(of, 1),
        "precision_at_least": _lower_bound(right, of),
        "recall": right / max(positives, 1),
        "recall_at_least": _lower_bound(right, positives),
    }


def _lower_bound(right: int, of: int) -> float:
    """The exact one-sided bound of Clopper & Pearson, Biometrika 26 (1934)."""
    from scipy.stats import beta

    return float(beta.ppf(1.0 - _LEVEL, right, of - right + 1)) if right else 0.0


def _statement(facts: dict[str, Any]) -> str:
    return (
        f"{facts['label']} is flagged from a probability of {facts['threshold']:.3f} on. Of "
        f"{facts['rows']:,} development rows, {facts['positives']:,} with the label, that flags "
        f"{facts['flagged']:,}: precision {facts['precision']:.3f} "
        f"(at least {facts['precision_at_least']:.3f}), recall {facts['recall']:.3f} "
        f"(at least {facts['recall_at_least']:.3f}, 95%)."
    )
