"""Groups of completions of one question: what of them can teach anything.

Group relative policy optimisation (Shao et al. 2024, "DeepSeekMath", 4.1) subtracts the mean of
a group from its rewards, so a group whose rewards are all equal has no gradient.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from potstill.verify.reward import Scores


@dataclass(frozen=True, slots=True)
class GroupStatistics:
    """What the groups of one step look like.

    Attributes:
        groups: how many there are.
        flat: groups whose totals are all equal: they teach nothing.
        solved: groups in which every answer is right.
        unsolved: groups in which none is.
        mean: mean of all totals.
        spread: mean over groups of the standard deviation of their totals.
    """

    groups: int
    flat: int
    solved: int
    unsolved: int
    mean: float
    spread: float

    @property
    def flat_share(self) -> float:
        """Share of groups that teach nothing, 0 to 1."""
        return self.flat / self.groups if self.groups else 0.0


def group_statistics(scores: Scores, size: int) -> GroupStatistics:
    """Statistics of groups that lie one behind the other.

    Args:
        scores: of all completions of a step, those of one question together.
        size: completions a question.

    Raises:
        ValueError: the completions do not divide into groups of that size.
    """
    if size < 1 or scores.total.size % size:
        raise ValueError(f"{scores.total.size} completions make no groups of {size}")
    total = scores.total.reshape(-1, size)  # (group, completion)
    if not total.size:
        return GroupStatistics(0, 0, 0, 0, 0.0, 0.0)
    rates = scores.accuracy.reshape(-1, size).mean(axis=1)
    # Sums of the same parts may differ in the last bit.
    flat = np.ptp(total, axis=1) < 1e-9
    return GroupStatistics(
        groups=len(total),
        flat=int(flat.sum()),
        solved=int((rates == 1.0).sum()),
        unsolved=int((rates == 0.0).sum()),
        mean=float(total.mean()),
        spread=float(total.std(axis=1).mean()),
    )
