"""From which confidence on at most so many answers are wrong, shown on rows kept for that.

Learn then test (Angelopoulos, Bates, Candès, Jordan & Lei 2021, "Learn then test: Calibrating
predictive algorithms to achieve risk control", sections 2 and 3). To every confidence that might
become the bound belongs a hypothesis: "answering from here on, more than `max_error` of the answers
are wrong". Its p-value is exact: given the number of answered rows, the wrong ones among them
are binomial. The hypotheses are tested in an order that was fixed without these rows, from the
most careful to the least, each at the full level, until one stands (fixed-sequence testing,
Bauer 1991); so the chance that any of those rejected were true is at most one minus the
confidence. The last one rejected gives the bound.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from potstill.spec.deferral import DeferSpec

if TYPE_CHECKING:
    from collections.abc import Sequence

    from potstill.data.example import Prediction

FITTING = 0.25
"""Share of the gold rows that fits temperature and scope: few parameters, so most rows go to
the certificate, whose coverage grows with them."""

_STEPS = 400
"""Confidences that are tested. Between neighbours few rows differ, so that stopping one too
early costs little coverage."""

_FIRST_ANSWERED = 3.0
"""Times the fewest rows that can show anything: that many are answered at the first test, or
half of all. With fewer one unlucky row would end the sequence; with more it might begin where a
weak model already errs too often."""


@dataclass(frozen=True, slots=True)
class Certificate:
    """What was shown on the calibration rows.

    Attributes:
        min_confidence: the bound; infinity where none could be shown.
        rows: calibration rows.
        outside: those of them that fit no label.
        answered: those that are answered with the bound.
        wrong: those answered wrongly.
    """

    min_confidence: float
    rows: int
    outside: int
    answered: int
    wrong: int

    @property
    def holds(self) -> bool:
        """Whether a bound was shown."""
        return math.isfinite(self.min_confidence)

    def to_json(self, spec: DeferSpec) -> dict[str, Any]:
        """For ``model.json``: what was asked for, the counts, and all of it in words."""
        return {
            "holds": self.holds,
            "max_error": spec.max_error,
            "confidence": spec.confidence,
            "rows": self.rows,
            "out_of_scope_rows": self.outside,
            "answered": self.answered,
            "wrong": self.wrong,
            "statement": self.statement(spec),
        }

    def statement(self, spec: DeferSpec) -> str:
        """The guarantee in words with what it assumes, or why there is none and what to do."""
        if self.holds:
            return (
                f"At most {_percent(spec.max_error)} of its answers are wrong, with a probability "
                f"of {_percent(spec.confidence)} over the draw of {self.rows:,} calibration rows "
                f"that nothing else was fitted to. Of those it answered "
                f"{self.answered / self.rows:.1%}, {self.wrong / self.answered:.1%} of them "
                "wrongly. This holds for inputs drawn like these rows, of which "
                f"{self.outside / self.rows:.1%} fit no label; where other inputs come, or more "
                "of those, more answers may be wrong."
            )
        needed = fewest_rows(spec)
        asked = (
            f"that at most {_percent(spec.max_error)} of the answers are wrong, with a "
            f"probability of {_percent(spec.confidence)},"
        )
        if self.rows < needed:
            return (
                f"It answers nothing: to show {asked} takes at least {needed:,} calibration rows "
                f"with a person's label, and there were {self.rows:,}. Give 'data.dev' at least "
                f"{math.ceil(needed / (1.0 - FITTING)):,} such rows, better several times as many, or "
                "remove 'defer'."
            )
        return (
            f"It answers nothing: {self.rows:,} calibration rows do not show {asked}, however "
            "sure the model is. Allow a larger 'defer.max_error', add rows with a person's "
            "label, or train a better student."
        )


def certify(
    predictions: Sequence[Prediction],
    right: NDArray[np.bool_],
    *,
    outside: int,
    earlier: Sequence[Prediction],
    spec: DeferSpec,
) -> Certificate:
    """Find the lowest confidence from which the error among the answers is shown to be bounded.

    Args:
        predictions: of the calibration rows; those that are deferred already, being out of
            scope, count as never answered.
        right: (row) whether the target is right; never for a row that fits no label.
        outside: calibration rows that fit no label.
        earlier: predictions of other rows, from whose confidences the sequence is made.
        spec: the bound asked for.
    """
    from mapie.risk_control import control_fwer
    from scipy.stats import binom

    rows = len(predictions)
    if rows < fewest_rows(spec) or not earlier:
        return Certificate(math.inf, rows, outside, 0, 0)
    bounds = _sequence(_confidences(earlier), rows, spec)
    answered = _confidences(predictions)[None, :] >= bounds[:, None]
    wrong = (answered & ~right).sum(axis=1)
    p_values = binom.cdf(wrong, answered.sum(axis=1), spec.max_error)
    shown = control_fwer(p_values, 1.0 - spec.confidence, fwer_method="fixed_sequence")
    if not len(shown):
        return Certificate(math.inf, rows, outside, 0, 0)
    last = int(shown[-1])
    return Certificate(
        float(bounds[last]), rows, outside, int(answered[last].sum()), int(wrong[last])
    )


def fewest_rows(spec: DeferSpec) -> int:
    """Rows below which even answers without an error show nothing."""
    return math.ceil(math.log(1.0 - spec.confidence) / math.log(1.0 - spec.max_error))


def _percent(share: float) -> str:
    return f"{100.0 * share:.3g}%"


def _confidences(predictions: Sequence[Prediction]) -> NDArray[np.float64]:
    """Confidences (row); minus one, below every bound, for what is out of scope."""
    return np.array([-1.0 if one.deferred else one.confidence or 0.0 for one in predictions])


def _sequence(earlier: NDArray[np.float64], rows: int, spec: DeferSpec) -> NDArray[np.float64]:
    """Bounds from the most careful to none at all, evenly spaced in the share they answer."""
    needed = fewest_rows(spec) / rows
    first = min(1.0, max(1.2 * needed, min(0.5, _FIRST_ANSWERED * needed)))
    bounds = np.quantile(earlier, 1.0 - np.linspace(first, 1.0, _STEPS))
    return np.append(np.unique(bounds[bounds > 0.0])[::-1], 0.0)
