"""The whole comparison: arms are halved, the survivors are tuned, and one is chosen."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from accelerate import PartialState
from accelerate.utils import broadcast_object_list

from potstill.spec.task import Gate
from potstill.train.auto.arms import Arm, Trial, cheapest_first
from potstill.train.auto.choice import Contender, Figures, Lead, choose, lines, solved
from potstill.train.auto.halving import Budget, Dropped, halve, rungs
from potstill.train.candidates import MOST_CPU_OPERATIONS, Candidate
from potstill.train.student import Student, base_facts

_CPU_OPERATIONS_A_MINUTE = MOST_CPU_OPERATIONS / 15.0
"""Of two cores: a count that stands for a time, so that the same task takes the same path."""

_GPU_OPERATIONS_A_MINUTE = 1e15
"""Of a small data-centre GPU; larger ones do many times as much."""

_FEWEST_DEV_ROWS = 200
"""Below these the noise of a paired difference is some three points, and what a fine-tuning gains
over a frozen encoder is less: no result could promote it."""

Measure = Callable[[Student], Figures]
"""What a student costs to run."""


@dataclass(frozen=True)
class Ended:
    """How a training ended.

    Attributes:
        candidate: what ships.
        rows: one for each candidate, for the report.
        history: a row for each epoch of a fine-tuning.
        reason: why the choice fell so, in a sentence.
    """

    candidate: Candidate
    rows: list[dict[str, Any]]
    history: list[dict[str, Any]]
    reason: str


def compare(
    arms: Sequence[Arm],
    *,
    labels: tuple[str, ...],
    accept: Mapping[str, Gate],
    measure: Measure | None,
) -> Ended:
    """Train the candidates as far as each deserves, and choose one.

    Args:
        arms: one for each base, with the same rows.
        labels: of the task.
        accept: the task's gates.
        measure: tells what a student costs to run; without it no gate on latency or price can
            be looked at.
    """
    arms = cheapest_first(arms)
    course = arms[0].course
    budget = _budget(course.options.minutes)
    rows = len(course.lesson.rows)
    order = np.random.default_rng(course.seed).permutation(rows)
    trials, dropped = halve(arms, order, rungs(rows, len(labels)), budget)
    contenders = [_finish(trial, labels, measure) for trial in trials]
    tuned, not_tuned = _tune(contenders, trials, budget)
    contenders += tuned
    choice = choose(contenders, accept)
    return Ended(
        candidate=choice.contender.candidate,
        rows=lines(contenders, [*dropped, *not_tuned], choice.contender),
        history=[row for one in tuned for row in one.candidate.history],
        reason=choice.reason,
    )


def _budget(minutes: float) -> Budget:
    on_cpu = str(PartialState().device) == "cpu"
    rate = _CPU_OPERATIONS_A_MINUTE if on_cpu else _GPU_OPERATIONS_A_MINUTE
    return Budget(minutes * rate, rate)


def _finish(trial: Trial, labels: tuple[str, ...], measure: Measure | None) -> Contender:
    """The frozen contender of a trial on all rows, and what it costs to run."""
    candidate = trial.arm.frozen(trial)
    if measure is None:
        return Contender(trial.arm, candidate, {})
    course = trial.arm.course
    student = Student(
        module=candidate.network,
        tokenizer_file=course.base.folder / "tokenizer.json",
        labels=labels,
        multilabel=course.lesson.multilabel,
        base=base_facts(course.base, candidate.network.encoder),
        max_tokens=course.max_tokens,
    )
    # Processes that timed for themselves would choose for themselves as well.
    figures = broadcast_object_list([measure(student)])[0]
    return Contender(trial.arm, candidate, figures)


def _tune(
    frozen: Sequence[Contender], trials: Sequence[Trial], budget: Budget
) -> tuple[list[Contender], list[Dropped]]:
    """Fine-tune the survivors, the smallest first, until one has gained nothing by it."""
    best = max(frozen, key=lambda one: one.score)
    tuned: list[Contender] = []
    dropped: list[Dropped] = []
    gained_nothing: str | None = None
    for contender, trial in zip(frozen, trials, strict=True):
        arm = contender.arm
        if arm.course.base.kind != "transformer" or arm.course.options.mode == "frozen":
            continue
        if len(arm.course.lesson.dev_rows) < _FEWEST_DEV_ROWS:
            why = f"was not tried: fewer than {_FEWEST_DEV_ROWS} development rows would judge it"
        elif solved(best):
            why = f"was not tried: {best.name} has {best.score:.3f} already"
        elif gained_nothing is not None:
            why = f"was not tried: {gained_nothing} gained nothing by fine-tuning"
        else:
            why = budget.refuses(arm.tuning_cost())
        if why is not None:
            dropped.append(Dropped(arm, why, mode="tuned"))
            continue
        candidate = arm.course.tuned(trial.heads, contender.candidate.dev_scores)
        tuned.append(Contender(arm, candidate, contender.figures))
        if Lead.of(tuned[-1], contender).mean <= 0.0:
            gained_nothing = arm.name
    return tuned, dropped
