"""Who gets more rows: successive halving of the arms under a budget.

Jamieson & Talwalkar 2016, "Non-stochastic Best Arm Identification and Hyperparameter
Optimization", algorithm 1: all arms are tried on a few rows, the better half of them on more.
Two things differ here. Arms are tried from the cheapest to the dearest, and the dearer ones are
not tried at all once a cheap one leaves nothing worth gaining: embedding a text costs a base a
thousand times what another takes for it. And the rows grow fourfold, because with few rows the
noise, and not the arm, would decide.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import ceil
from typing import TYPE_CHECKING

import numpy as np

from potstill.train.auto.arms import Arm, Trial

if TYPE_CHECKING:
    from numpy.typing import NDArray

_GROWTH = 4
_FEWEST_ROWS = 500
_FEWEST_ROWS_A_LABEL = 10
"""Below these a rung tells nothing, and all arms are tried on all rows."""

NOTHING_TO_GAIN = 0.005
"""Half a point: what no larger student is worth."""


@dataclass
class Budget:
    """Operations that may still be spent.

    Attributes:
        left: operations.
        a_minute: operations that a minute buys.
    """

    left: float
    a_minute: float

    def refuses(self, cost: float) -> str | None:
        """Why something is not done; None where it may be, and its cost is then spent.

        Args:
            cost: its operations.
        """
        if cost > self.left:
            asked, left = cost / self.a_minute, self.left / self.a_minute
            return f"would take about {asked:.0f} minutes, and {left:.0f} are left"
        self.left -= cost
        return None


@dataclass(frozen=True)
class Dropped:
    """An arm that went no further.

    Attributes:
        arm: the arm.
        why: the rest of a sentence that begins with its name.
        trial: its last one; None where it was not tried at all.
        mode: ``frozen`` or ``tuned``.
    """

    arm: Arm
    why: str
    trial: Trial | None = None
    mode: str = "frozen"

    @property
    def name(self) -> str:
        """Of the base; with the mode where the base has two."""
        light = self.arm.course.base.kind != "transformer"
        return self.arm.name if light else f"{self.arm.name} {self.mode}"


def rungs(rows: int, labels: int) -> list[int]:
    """Numbers of training rows, the last one all of them.

    Args:
        rows: training rows.
        labels: of the task.
    """
    least = max(_FEWEST_ROWS, _FEWEST_ROWS_A_LABEL * labels)
    sizes = [rows]
    while sizes[0] // _GROWTH >= least:
        sizes.insert(0, sizes[0] // _GROWTH)
    return sizes


def halve(
    arms: Sequence[Arm], order: NDArray[np.int64], sizes: Sequence[int], budget: Budget
) -> tuple[list[Trial], list[Dropped]]:
    """The arms that saw all rows, and those that did not.

    Args:
        arms: the cheapest first.
        order: training rows in random order; each rung takes its first ones.
        sizes: rows of each rung, see `rungs`.
        budget: is spent.
    """
    dropped: list[Dropped] = []
    for size in sizes:
        # All rows stand in their own order, so that an arm is what it would have been alone.
        rows = np.sort(order[:size])
        trials: list[Trial] = []
        for place, arm in enumerate(arms):
            why = budget.refuses(arm.cost(rows))
            if why is not None and place:  # one has to be tried, whatever it costs
                dropped.append(Dropped(arm, why))
                continue
            trials.append(arm.trial(rows))
            if 1.0 - trials[-1].score <= NOTHING_TO_GAIN:
                best = trials[-1]
                reason = f"was not tried: {best.arm.name} has {best.score:.3f} already"
                dropped += [Dropped(other, reason) for other in arms[place + 1 :]]
                break
        if size == sizes[-1]:
            return trials, dropped
        kept = _better_half(trials)
        dropped += [
            Dropped(trial.arm, f"fell behind on {size:,} rows, with {trial.score:.3f}", trial)
            for trial in trials
            if trial not in kept
        ]
        arms = [trial.arm for trial in kept]
    raise AssertionError("there is no rung")


def _better_half(trials: list[Trial]) -> list[Trial]:
    """The better half, rounded up, the cheapest first; of equals the cheaper is better."""
    ranked = sorted(trials, key=lambda trial: -trial.score)
    kept = ranked[: ceil(len(trials) / 2)]
    return [trial for trial in trials if trial in kept]
