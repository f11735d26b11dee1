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
from typing import TYPE_CHECKING, Any

import numpy as np

from potstill.train.auto.arms import Arm, C

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
    """A candidate that went no further.

    Attributes:
        arm: the arm.
        why: the rest of a sentence that begins with its name.
        rows: that it was tried on; 0 where it was not tried at all.
        score: on rows that it had not seen; None where it was not tried at all.
        mode: ``frozen`` or ``tuned``.
    """

    arm: Arm[Any]
    why: str
    rows: int = 0
    score: float | None = None
    mode: str = "frozen"

    @property
    def name(self) -> str:
        """Of base and mode."""
        return self.arm.named(self.mode)


def rungs(rows: int, labels: int) -> list[int]:
    """Numbers of training rows, the last one all of them.

    Args:
        rows: training rows.
        labels: of the task, or its fields.
    """
    least = max(_FEWEST_ROWS, _FEWEST_ROWS_A_LABEL * labels)
    sizes = [rows]
    while sizes[0] // _GROWTH >= least:
        sizes.insert(0, sizes[0] // _GROWTH)
    return sizes


def halve(
    arms: Sequence[Arm[C]], order: NDArray[np.int64], sizes: Sequence[int], budget: Budget
) -> tuple[list[Arm[C]], list[Dropped]]:
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
        tried: list[tuple[float, Arm[C]]] = []
        for place, arm in enumerate(arms):
            why = budget.refuses(arm.cost(rows))
            if why is not None and place:  # one has to be tried, whatever it costs
                dropped.append(Dropped(arm, why))
                continue
            score = arm.trial(rows)
            tried.append((score, arm))
            if 1.0 - score <= NOTHING_TO_GAIN:
                reason = f"was not tried: {arm.name} has {score:.3f} already"
                dropped += [Dropped(other, reason) for other in arms[place + 1 :]]
                break
        if size == sizes[-1]:
            return [arm for _, arm in tried], dropped
        kept = _better_half(tried)
        dropped += [
            Dropped(arm, f"fell behind on {size:,} rows, with {score:.3f}", size, score)
            for score, arm in tried
            if arm not in kept
        ]
        arms = kept
    raise AssertionError("there is no rung")


def _better_half(tried: list[tuple[float, Arm[C]]]) -> list[Arm[C]]:
    """The better half, rounded up, the cheapest first; of equals the cheaper is better."""
    ranked = sorted(tried, key=lambda pair: -pair[0])
    kept = [arm for _, arm in ranked[: ceil(len(tried) / 2)]]
    return [arm for _, arm in tried if arm in kept]
