"""One way of asking, as measured on gold, and how two of them are compared."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from potstill.generate.fusion import Fusion
from potstill.generate.method import Method

Floats = NDArray[np.float64]

_NORMAL_95 = 1.959964
_CLEARLY = 2.0


@dataclass(frozen=True, slots=True)
class Share:
    """A share of rows with its 95% interval.

    Attributes:
        value: the share.
        low: lower bound.
        high: upper bound.
    """

    value: float
    low: float
    high: float

    @classmethod
    def of(cls, scores: Floats) -> Share:
        """The mean of scores between 0 and 1, with Wilson's interval.

        Wilson, "Probable inference, the law of succession, and statistical inference", Journal
        of the American Statistical Association 22 (1927). For scores that lie between, as F1
        does, it is too wide rather than too narrow.

        Args:
            scores: one a row (row,), at least one.
        """
        n, value, z = len(scores), float(scores.mean()), _NORMAL_95
        middle = (value + z * z / (2 * n)) / (1 + z * z / n)
        reach = z / (1 + z * z / n) * math.sqrt(value * (1 - value) / n + z * z / (4 * n * n))
        return cls(value, max(0.0, middle - reach), min(1.0, middle + reach))

    def to_json(self) -> dict[str, float]:
        """A dictionary for JSON."""
        return {"value": self.value, "low": self.low, "high": self.high}


@dataclass(frozen=True, slots=True, kw_only=True)
class Fused:
    """What joining the teacher with the nearest gold brings.

    Attributes:
        fusion: the weights, fitted on all rows of the trial.
        right: the score of each row by weights fitted without its fold (row,).
        loss: negative log-probability of each row's gold label (row,), held out likewise; of
            a row without a usable answer, that of the nearest gold alone.
        teacher_loss: the same of the teacher's own distribution, mean over answered rows.
        nearest_loss: the same of the nearest gold without the teacher, mean over all rows, held
            out likewise: what the teacher adds is what lies between.
        pays: whether it is at least as often right as the teacher alone, at a lower log-loss.
    """

    fusion: Fusion
    right: Floats
    loss: Floats
    teacher_loss: float
    nearest_loss: float
    pays: bool

    def to_json(self) -> dict[str, Any]:
        """A dictionary for JSON."""
        return {
            "accuracy": Share.of(self.right).to_json(),
            "log_loss": float(self.loss.mean()),
            "teacher_log_loss": self.teacher_loss,
            "nearest_log_loss": self.nearest_loss,
            "pays": self.pays,
            "weights": self.fusion.to_json(),
        }


@dataclass(frozen=True, slots=True, kw_only=True)
class Trial:
    """One method, measured on gold.

    Attributes:
        method: how was asked.
        right: the teacher's score of each row (row,): 1 or 0; multilabel: F1 of the labels.
        fused: with the nearest gold; None where there is nothing to join.
        unanswered: share of the rows without a usable answer.
        flips: share of the answered rows whose votes differ; None for a single vote.
        usd: mean price of a row, of those whose price is known.
        seconds: median wall time of a row, its votes added up.
        prompt_tokens: mean number sent for a row.
        completion_tokens: mean number received for a row.
        trouble: what was said of the first row without a usable answer.
    """

    method: Method
    right: Floats = field(repr=False)
    fused: Fused | None
    unanswered: float
    flips: float | None
    usd: float | None
    seconds: float | None
    prompt_tokens: float | None
    completion_tokens: float | None
    trouble: str | None = None

    def to_json(self) -> dict[str, Any]:
        """A dictionary for JSON; what is unknown is null."""
        return {
            "method": self.method.to_json(),
            "rows": len(self.right),
            "accuracy": Share.of(self.right).to_json(),
            "fused": None if self.fused is None else self.fused.to_json(),
            "unanswered": self.unanswered,
            "flips": self.flips,
            "usd_per_row": self.usd,
            "seconds_per_row": self.seconds,
            "prompt_tokens_per_row": self.prompt_tokens,
            "completion_tokens_per_row": self.completion_tokens,
        }


def best_of(trials: Sequence[Trial]) -> Trial:
    """The one that no other is ahead of."""
    best = trials[0]
    for trial in trials[1:]:
        if behind(best, trial).mean() > 0:
            best = trial
    return best


def behind(trial: Trial, other: Trial) -> Floats:
    """By how much a trial is behind another, row by row (row,).

    Joined with the nearest gold, methods differ in few answers and in all probabilities, so
    there the log-loss is compared, which shows on sixty rows what accuracy does not.
    """
    if trial.fused is not None and other.fused is not None:
        return trial.fused.loss - other.fused.loss
    return other.right - trial.right


def standard_error(differences: Floats) -> float:
    """Of the mean of paired differences (row,)."""
    return float(differences.std(ddof=1)) / math.sqrt(len(differences))


def lost_clearly(trial: Trial, other: Trial) -> bool:
    """Whether a trial is behind another by more than two paired standard errors."""
    gap = behind(trial, other)
    return float(gap.mean()) > _CLEARLY * standard_error(gap)


def cheapest_near_best(trials: Sequence[Trial]) -> Trial:
    """The cheapest trial within one paired standard error of the best."""
    best = best_of(trials)
    gaps = [(trial, behind(trial, best)) for trial in trials]
    near = [trial for trial, gap in gaps if gap.mean() <= standard_error(gap)]
    for price in ("usd", "seconds", "completion_tokens"):
        prices = [getattr(trial, price) for trial in near]
        if None not in prices and any(prices):
            cheapest = min(prices)
            return best_of([t for t, paid in zip(near, prices, strict=True) if paid == cheapest])
    return best
