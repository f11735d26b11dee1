"""The whole comparison: arms are halved, the survivors are tuned, and one is chosen."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Generic

import numpy as np
from accelerate import PartialState

from potstill.spec.task import Gate, StudentSpec
from potstill.train.auto.arms import Arm, C
from potstill.train.auto.choice import Contender, Lead, choose, lines, solved
from potstill.train.auto.halving import Budget, Dropped, halve, rungs
from potstill.train.candidates import MOST_CPU_OPERATIONS

_CPU_OPERATIONS_A_MINUTE = MOST_CPU_OPERATIONS / 15.0
"""Of two cores: a count that stands for a time, so that the same task takes the same path."""

_GPU_OPERATIONS_A_MINUTE = 1e15
"""Of a small data-centre GPU; larger ones do many times as much."""


@dataclass(frozen=True)
class Ended(Generic[C]):
    """How a training ended.

    Attributes:
        candidate: what ships.
        rows: one for each candidate, for the report.
        history: a row for each epoch of a fine-tuning.
        reason: why the choice fell so, in a sentence; empty where there was none.
        arm: that the candidate came from; None where there was no comparison.
    """

    candidate: C
    rows: list[dict[str, Any]]
    history: list[dict[str, Any]]
    reason: str = ""
    arm: Arm[C] | None = None


def compare(
    arms: Sequence[Arm[C]],
    *,
    rows: int,
    answers: int,
    accept: Mapping[str, Gate],
    options: StudentSpec,
    seed: int,
) -> Ended[C]:
    """Train the candidates as far as each deserves, and choose one.

    Args:
        arms: one for each base, with the same rows.
        rows: training rows.
        answers: labels of the task, or its fields.
        accept: the task's gates.
        options: ``minutes`` and ``mode`` are read.
        seed: of the order in which rows are given.
    """
    arms = sorted(arms, key=lambda arm: arm.size)
    budget = _budget(options.minutes)
    order = np.random.default_rng(seed).permutation(rows)
    finalists, dropped = halve(arms, order, rungs(rows, answers), budget)
    contenders = [_finish(arm) for arm in finalists]
    tuned: list[Contender[C]] = []
    if options.mode != "frozen":
        tuned, not_tuned = _tune(contenders, budget)
        dropped += not_tuned
    choice = choose([*contenders, *tuned], accept)
    return Ended(
        candidate=choice.contender.candidate,
        rows=lines([*contenders, *tuned], dropped, choice.contender, accept),
        history=[row for one in tuned for row in one.candidate.history],
        reason=choice.reason,
        arm=choice.contender.arm,
    )


def _budget(minutes: float) -> Budget:
    on_cpu = str(PartialState().device) == "cpu"
    rate = _CPU_OPERATIONS_A_MINUTE if on_cpu else _GPU_OPERATIONS_A_MINUTE
    return Budget(minutes * rate, rate)


def _finish(arm: Arm[C]) -> Contender[C]:
    """The frozen contender of an arm, and what it costs to run."""
    candidate = arm.frozen()
    return Contender(arm, candidate, arm.figures(candidate))


def _tune(
    frozen: Sequence[Contender[C]], budget: Budget
) -> tuple[list[Contender[C]], list[Dropped]]:
    """Fine-tune the survivors, the smallest first, until one has gained nothing by it."""
    best = max(frozen, key=lambda one: one.score)
    tuned: list[Contender[C]] = []
    dropped: list[Dropped] = []
    gained_nothing: str | None = None
    for contender in frozen:
        arm = contender.arm
        if not arm.tunable:
            continue
        if arm.dev_rows < arm.fewest_dev_rows:
            fewest = arm.fewest_dev_rows
            why = f"was not tried: fewer than {fewest} development rows would judge it"
        elif solved(best):
            why = f"was not tried: {best.name} has {best.score:.3f} already"
        elif gained_nothing is not None:
            why = f"was not tried: {gained_nothing} gained nothing by fine-tuning"
        else:
            why = budget.refuses(arm.tuning_cost())
        if why is not None:
            dropped.append(Dropped(arm, why, mode="tuned"))
            continue
        candidate = arm.tuned(contender.candidate)
        tuned.append(Contender(arm, candidate, contender.figures))
        if Lead.of(tuned[-1], contender).mean <= 0.0:
            gained_nothing = arm.name
    return tuned, dropped
