"""The audition: which way of asking is worth its price, and is the teacher worth asking at all?

Before the money is spent, a few methods answer the same gold rows. They are tried in stages,
so that nothing is spent on a method whose parents clearly lost:

    bare; with a shortlist; with examples  →  both  →  the best so far with reasoning
    →  the best so far that reasons, with votes

What the task fixes (``reasoning: true``) is not tried otherwise. Of all methods the cheapest is
taken that is within one paired standard error of the best (the rule of Breiman et al. 1984,
Classification and Regression Trees, section 3.4.3, on paired rows). Cheap is measured in money;
where none is paid in seconds, and where those are unknown in tokens.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any

from potstill.data import Example
from potstill.errors import TeacherError
from potstill.generate.bench import Bench
from potstill.generate.fusion import Fusion
from potstill.generate.method import Method
from potstill.generate.retrieval import Shown
from potstill.generate.trial import (
    Floats,
    Share,
    Trial,
    best_of,
    cheapest_near_best,
    lost_clearly,
    standard_error,
)
from potstill.spec.task import Task
from potstill.spec.teacher import TeacherSpec
from potstill.teacher.request import Asker

FEWEST_ROWS = 10
"""Below this many gold rows nothing can be compared."""

NEAREST = 6
"""Examples beside the question, where all are too many for the system turn."""

VOTES = 3
"""Votes that are tried, where the task leaves them open."""

_ENOUGH_ROWS = 30
_PROBED_ROWS = 3


@dataclass(frozen=True, slots=True, kw_only=True)
class Audition:
    """What the audition found.

    Attributes:
        method: the method to ask with.
        fusion: how to join the answers with the nearest gold; None leaves them as they are.
        thinks: whether the model brings a thought of its own.
        trials: the methods that were tried, in that order; empty where there was no gold.
        rows: gold rows on which they were tried.
        split: whose rows: ``dev``, or ``train`` in two folds.
        majority: score of the rows' most frequent answer; None without gold.
        nearest: score of the label whose gold and name are nearest, without a teacher: what a
            student taught by the gold alone may reach; None without an embedding.
        warnings: sentences for a person.
    """

    method: Method
    fusion: Fusion | None = None
    thinks: bool = False
    trials: tuple[Trial, ...] = ()
    rows: int = 0
    split: str = "dev"
    majority: float | None = None
    nearest: float | None = None
    warnings: tuple[str, ...] = ()

    @property
    def chosen(self) -> Trial | None:
        """The trial of the chosen method."""
        return next((trial for trial in self.trials if trial.method == self.method), None)

    def to_json(self) -> dict[str, Any]:
        """A dictionary for the report."""
        return {
            "method": self.method.to_json(),
            "fusion": None if self.fusion is None else self.fusion.to_json(),
            "thinks": self.thinks,
            "rows": self.rows,
            "split": self.split,
            "majority": self.majority,
            "nearest": self.nearest,
            "trials": [trial.to_json() for trial in self.trials],
            "warnings": list(self.warnings),
        }


def audition(
    task: Task, asker: Asker, *, shown: Shown, dev: Sequence[Example] = (), seed: int = 0
) -> Audition:
    """Find the method to ask with, and stop where the teacher is not worth it.

    Args:
        task: the question, with the settings of its live teacher.
        asker: who has requests answered.
        shown: gold examples of the training split, and where to look rows up.
        dev: gold rows of the development split. Where they are too few, the training gold is
            asked about instead, in two folds; a teacher is then shown half of the examples
            that it will be shown, and is rather better than measured.
        seed: of the choice of rows.

    Returns:
        The method. With too little gold to compare, by rule: what the task fixes, else all
        gold examples where they fit into the system turn, all labels, no reasoning, one vote.

    Raises:
        BudgetReached: the next request could pass the cap; what was answered is kept.
        TeacherError: the teacher cannot be asked, is no better than the most frequent answer,
            or is below the task's ``min_accuracy``.
    """
    teacher = task.teacher
    if teacher is None:
        raise TeacherError("the task names no teacher to ask.", hint="Add a 'teacher' section.")
    from_dev = len(dev) >= min(_ENOUGH_ROWS, len(shown.examples))
    gold = list(dev) if from_dev else list(shown.examples)
    if len(gold) < FEWEST_ROWS:
        return _by_rule(teacher, shown, len(gold))
    bench = Bench.of(
        task,
        asker,
        shown,
        gold,
        rows=teacher.audition_rows,
        seed=seed,
        folds=not from_dev,
    )
    bench.find_thought(_PROBED_ROWS)
    trials = _Stages(bench, _Choices.of(teacher, shown, bench)).run()
    majority = bench.majority()
    nearest = bench.nearest()
    best = max(trials, key=lambda trial: float(trial.right.mean()))
    _refuse(best, majority, teacher, asker.provider.name)
    chosen = cheapest_near_best(trials)
    return Audition(
        method=chosen.method,
        fusion=chosen.fused.fusion if chosen.fused is not None and chosen.fused.pays else None,
        thinks=bench.thinks,
        trials=tuple(trials),
        rows=len(bench.rows),
        split="dev" if from_dev else "train",
        majority=float(majority.mean()),
        nearest=nearest,
        warnings=tuple(_warnings(chosen, nearest, bench, teacher)),
    )


@dataclass(frozen=True, slots=True)
class _Choices:
    """What each part of a method may be, the plainest first: one choice where the task fixes it."""

    reasoning: tuple[bool, ...]
    examples: tuple[int, ...]
    shortlist: tuple[int, ...]
    votes: tuple[int, ...]

    @classmethod
    def of(cls, teacher: TeacherSpec, shown: Shown, bench: Bench) -> _Choices:
        gold = _all_or_nearest(shown)
        return cls(
            # Of a model that thinks anyway, reasoning is no choice.
            reasoning=(True,) if bench.thinks else _open(teacher.reasoning, False, True),
            examples=_open(teacher.examples, 0, gold) if shown.examples else (0,),
            shortlist=_open(teacher.shortlist, 0, bench.shortlist()),
            votes=_open(teacher.votes, 1, VOTES),
        )

    @property
    def plainest(self) -> Method:
        return Method(
            reasoning=self.reasoning[0],
            examples=self.examples[0],
            shortlist=self.shortlist[0],
            votes=self.votes[0],
        )


class _Stages:
    """The trials, one stage after the other."""

    def __init__(self, bench: Bench, choices: _Choices) -> None:
        self._bench = bench
        self._choices = choices
        self._trials: list[Trial] = []

    def run(self) -> list[Trial]:
        """All trials, in their order.

        Raises:
            TeacherError: the plainest method brought no usable answer at all.
        """
        self._plainest()
        for stage in (self._one_thing_more, self._both, self._reasoning, self._votes):
            if any((trial.right == 1.0).all() for trial in self._trials):
                break  # nothing is left to win
            stage()
        return self._trials

    def _plainest(self) -> None:
        plain = self._try(self._choices.plainest)
        if plain.unanswered == 1.0:
            raise TeacherError(
                f"the teacher gave no usable answer to any of {len(plain.right)} gold rows"
                f"{f': {plain.trouble}' if plain.trouble else ''}.",
                hint="The ledger holds every attempt and what was wrong with it.",
            )

    def _one_thing_more(self) -> None:
        plain, choices = self._trials[0], self._choices
        for more in choices.shortlist[1:]:
            self._try(replace(plain.method, shortlist=more))
        for more in choices.examples[1:]:
            self._try(replace(plain.method, examples=more))

    def _both(self) -> None:
        plain, *parents = self._trials
        if len(parents) == 2 and not any(lost_clearly(parent, plain) for parent in parents):
            one, other = (parent.method for parent in parents)
            self._try(replace(one, examples=other.examples))

    def _reasoning(self) -> None:
        best = best_of(self._trials)
        for more in self._choices.reasoning[1:]:
            self._try(replace(best.method, reasoning=more))

    def _votes(self) -> None:
        """Only of a model that thinks: otherwise votes differ by the dice alone."""
        thoughtful = [trial for trial in self._trials if trial.method.reasoning]
        if not thoughtful or lost_clearly(best_of(thoughtful), best_of(self._trials)):
            return
        for more in self._choices.votes[1:]:
            self._try(replace(best_of(thoughtful).method, votes=more))

    def _try(self, method: Method) -> Trial:
        self._trials.append(self._bench.run(method))
        return self._trials[-1]


def _by_rule(teacher: TeacherSpec, shown: Shown, rows: int) -> Audition:
    def fixed(value: Any, otherwise: Any) -> Any:
        return otherwise if value == "auto" else value

    method = Method(
        reasoning=fixed(teacher.reasoning, False),
        examples=fixed(teacher.examples, _all_or_nearest(shown)),
        shortlist=fixed(teacher.shortlist, 0),
        votes=fixed(teacher.votes, 1),
    )
    there = f"only {rows} gold rows are" if rows else "no gold row is"
    warning = (
        f"{there} there to try the teacher on, so it is asked in the default manner "
        f"({method.name}) and how good it is stays unknown; give it {FEWEST_ROWS} or more"
    )
    return Audition(method=method, warnings=(warning,))


def _all_or_nearest(shown: Shown) -> int:
    """All examples where they fit into the system turn, else the few nearest."""
    return len(shown.examples) if shown.all_fit else min(NEAREST, len(shown.examples))


def _open(setting: Any, plain: Any, more: Any) -> tuple[Any, ...]:
    if setting != "auto":
        return (setting,)
    return (plain, more) if more != plain else (plain,)


def _refuse(best: Trial, majority: Floats, teacher: TeacherSpec, name: str) -> None:
    """Stop where the teacher is too weak to learn from.

    Raises:
        TeacherError: it is below the task's ``min_accuracy``, or, where the task names none,
            within noise of the most frequent answer or below it.
    """
    share, rows = Share.of(best.right), len(best.right)
    said = f"{name} is right on {share.value:.0%} of {rows} gold rows at best ({best.method.name})"
    remedy = "Ask a stronger model, or describe the labels and add rules"
    if teacher.min_accuracy is not None:
        if share.value < teacher.min_accuracy:
            raise TeacherError(
                f"{said}, below the task's 'min_accuracy' of {teacher.min_accuracy:.0%}.",
                hint=f"{remedy}.",
            )
        return
    ahead = best.right - majority
    if ahead.mean() <= standard_error(ahead):
        raise TeacherError(
            f"{said}, and the most frequent answer alone on {majority.mean():.0%}: there is "
            "nothing to learn from it.",
            hint=f"{remedy}; or set 'teacher.min_accuracy' to take it as it is.",
        )


def _warnings(
    chosen: Trial, nearest: float | None, bench: Bench, teacher: TeacherSpec
) -> Iterator[str]:
    if bench.thinks and teacher.reasoning is False:
        yield f"{bench.name} thinks before it answers, although the task says 'reasoning: false'"
    own = float(chosen.right.mean())
    if nearest is not None and own < nearest:
        joined = ""
        if chosen.fused is not None and chosen.fused.pays:
            joined = f"; joined, they are right on {chosen.fused.right.mean():.0%}"
        yield (
            f"{bench.name} is right on {own:.0%} of the gold rows, the nearest gold examples "
            f"without any teacher on {nearest:.0%}{joined}"
        )
    fused = chosen.fused
    if fused is not None and fused.pays and fused.loss.mean() >= fused.nearest_loss:
        yield (
            f"joined with the nearest gold examples, {bench.name} adds nothing to them: log-loss "
            f"{fused.loss.mean():.2f} with it, {fused.nearest_loss:.2f} without"
        )
