"""A watch over rewards in training: hacked, stuck at nothing, or stuck at everything.

The rules, as they stand in the code:

- **hacked**: over the last ``window`` steps the mean reward is higher than over the ``window``
  steps before, by more than ``z`` standard errors of the difference, while the last held-out
  accuracy is lower than the best one that was measured before, by more than ``z`` standard
  errors of a difference of two shares. Reward that rises while what it stands for falls is
  what hacking is (Gao et al. 2023, "Scaling laws for reward model overoptimization").
- **always_zero**, **always_one**: a part of the reward was 0 (or 1) for every completion of
  ``window`` steps in a row. A format that is always 0 is most often a tokenizer that takes the
  marks out; an accuracy that is always 1 leaves nothing to learn.
- **flat**: in ``window`` steps in a row no group had two different rewards.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Mapping
from dataclasses import dataclass, field
from math import sqrt
from statistics import fmean, variance
from typing import Literal

from potstill.verify.groups import GroupStatistics
from potstill.verify.reward import Part, Scores

AlarmKind = Literal["hacked", "always_zero", "always_one", "flat"]
_PARTS: tuple[Part, ...] = ("accuracy", "format", "language")


@dataclass(frozen=True, slots=True)
class Alarm:
    """Something that a person should look at.

    Attributes:
        kind: which rule it was.
        part: the part of the reward that it is about.
        step: the step at which it was seen first.
        detail: a sentence for a person.
    """

    kind: AlarmKind
    part: Part
    step: int
    detail: str


@dataclass
class Watch:
    """Sees the scores of each step and says when they stop making sense; see the module.

    Attributes:
        window: steps of a comparison.
        z: standard errors that a difference must exceed.
        watched: parts of the reward that weigh anything.
    """

    window: int = 20
    z: float = 2.0
    watched: tuple[Part, ...] = _PARTS
    _rewards: deque[float] = field(default_factory=deque[float], repr=False)
    _held_out: list[tuple[int, float, int]] = field(
        default_factory=list[tuple[int, float, int]], repr=False
    )
    _streaks: dict[tuple[AlarmKind, Part], int] = field(
        default_factory=dict[tuple[AlarmKind, Part], int], repr=False
    )

    def __post_init__(self) -> None:
        if self.window < 2:
            raise ValueError("a window of fewer than 2 steps has no standard error")
        self._rewards = deque(maxlen=2 * self.window)

    def see(self, step: int, scores: Scores, groups: GroupStatistics | None = None) -> list[Alarm]:
        """Take note of one step's scores; what is alarming by now, each rule once a streak."""
        if not scores.total.size:
            return []
        flat = None if groups is None or not groups.groups else groups.flat == groups.groups
        return self.see_means(step, scores.means(), flat=flat)

    def see_means(
        self, step: int, means: Mapping[str, float], *, flat: bool | None = None
    ) -> list[Alarm]:
        """Take note of one step by its means, where the single scores are not at hand.

        A mean of 0 or 1 is that of completions which all are worth it, since no part of a
        reward is below 0 or above 1.

        Args:
            step: its number.
            means: of the parts that weigh anything, and of the `total`.
            flat: whether no group had two different rewards; None where there were none.
        """
        self._rewards.append(means["total"])
        alarms: list[Alarm] = []
        for part in self.watched:
            if part not in means:
                continue
            said = f"{part} was {{}} for every completion of {self.window} steps"
            value = means[part]
            alarms += self._streak("always_zero", part, step, value == 0.0, said.format(0))
            alarms += self._streak("always_one", part, step, value == 1.0, said.format(1))
        if flat is not None:
            detail = f"in {self.window} steps no group had two different rewards"
            alarms += self._streak("flat", "total", step, flat, detail)
        return alarms

    def held_out(self, step: int, accuracy: float, answers: int) -> list[Alarm]:
        """Take note of an accuracy on held-out questions.

        Args:
            step: after which it was measured.
            accuracy: share of right answers, 0 to 1.
            answers: answers that it is a share of.

        Raises:
            ValueError: no answers, or a share that is none.
        """
        if answers < 1 or not 0.0 <= accuracy <= 1.0:
            raise ValueError(f"{accuracy} of {answers} answers is no accuracy")
        before = max(self._held_out, key=lambda measured: measured[1], default=None)
        self._held_out.append((step, accuracy, answers))
        rise = self._rise()
        if before is None or rise is None:
            return []
        pooled = (accuracy * answers + before[1] * before[2]) / (answers + before[2])
        error = sqrt(pooled * (1.0 - pooled) * (1.0 / answers + 1.0 / before[2]))
        if rise[0] <= self.z * rise[1] or before[1] - accuracy <= self.z * error:
            return []
        detail = (
            f"the reward rose by {rise[0]:.3f} over {self.window} steps, while held-out accuracy"
            f" fell from {before[1]:.3f} (step {before[0]}) to {accuracy:.3f}"
        )
        return [Alarm("hacked", "total", step, detail)]

    def _rise(self) -> tuple[float, float] | None:
        """How much the mean reward rose between two windows, and its standard error."""
        if len(self._rewards) < 2 * self.window:
            return None
        rewards = list(self._rewards)
        earlier, later = rewards[: self.window], rewards[self.window :]
        error = sqrt((variance(earlier) + variance(later)) / self.window)
        return fmean(later) - fmean(earlier), error

    def _streak(
        self, kind: AlarmKind, part: Part, step: int, stuck: bool, detail: str
    ) -> list[Alarm]:
        length = self._streaks.get((kind, part), 0) + 1 if stuck else 0
        self._streaks[kind, part] = length
        return [Alarm(kind, part, step, detail)] if length == self.window else []
