"""Everybody who answers the test rows: the student, its teachers, and the baselines."""

from __future__ import annotations

import time
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from potstill.data import Example, Input, Prediction, Predictor
from potstill.evaluate import (
    Comparison,
    Entry,
    Evaluation,
    Interval,
    Latency,
    measure_latency,
    measure_of,
    usd_per_million,
)
from potstill.run.evidence import load_answers, load_saved
from potstill.run.live import test_sample

if TYPE_CHECKING:
    from potstill.run.stages import Stages
    from potstill.teacher import RecordedAnswers, RecordedPredictor

_TIMED_ROWS = 200
_TIMED_REPEATS = 3
_SLOW_S = 0.1
"""An answer that takes longer is timed on fewer rows, and once: a long document, a text."""


class Panel:
    """Predictors on the same test rows; of a live teacher on those that it was asked about.

    Args:
        work: the run.
        test: the frozen rows.

    Attributes:
        measure: what right means in this task.
        answered: everybody's answers to all test rows, by name.
    """

    def __init__(self, work: Stages, test: Sequence[Example]) -> None:
        self._work = work
        self._test = test
        self._inputs = [example.input for example in test]
        self._asked = {example.id for example in _asked_of_teacher(work, test)}
        self.measure = measure_of(work.task.answer)
        self.answered: dict[str, list[Prediction]] = {}

    def entry(self, role: Any, predictor: Predictor, name: str, **more: Any) -> Entry:
        """A predictor that runs here: judged, timed and priced.

        Args:
            role: student or baseline.
            predictor: who answers.
            name: unique in the report.
            more: what `Measure.evaluate` takes besides.
        """
        latency = _latency(predictor, self._inputs)
        return Entry(
            role=role,
            evaluation=self._evaluate(predictor, name, **more),
            latency=latency,
            usd_per_million=usd_per_million(latency.p50_ms),
        )

    def teachers(self, taken: Sequence[str]) -> tuple[list[Entry], list[str]]:
        """The teachers that answered test rows, and warnings about those that did not.

        Args:
            taken: names that others have already.
        """
        teacher = self._work.task.teacher
        if teacher is None or not self._asked:
            return [], []
        answers = load_answers(self._work.loaded, self._work.test_answer_files)
        recorded = {facts.name: facts.usd_per_million for facts in answers.facts()}
        found: list[Entry] = []
        warnings: list[str] = []
        unlabeled = load_saved(self._work.file("unlabeled"))
        for predictor in _committee_first(answers, self._test, unlabeled):
            name = predictor.name
            shown = f"{name} (teacher)" if name in taken else name
            evaluation = self._evaluate(predictor, shown, teacher=True)
            if evaluation.unanswered == evaluation.n:
                warnings.append(f"{name} answered none of the test rows.")
                continue
            price, notes = recorded.get(name), self._notes(evaluation)
            if name in recorded and price is None and teacher.usd_per_million is not None:
                price = teacher.usd_per_million
                notes.append("price as the task declares it")
            found.append(
                Entry(
                    role="teacher",
                    evaluation=evaluation,
                    latency=_recorded_latency(answers, name, self._test),
                    usd_per_million=price,
                    note="; ".join(notes),
                )
            )
        return found, warnings

    def against(self, one: str, other: str, *, teacher: bool = False) -> Comparison:
        """The paired test of two who answered; with a teacher on the rows that it was asked."""
        return self.measure.compare(
            self._said(one, teacher=teacher),
            self._said(other, teacher=teacher),
            self._rows(teacher=teacher),
            names=(one, other),
            seed=self._work.task.seed,
        ).without_rows()

    def fidelity(self, student: str, teacher: str) -> Interval:
        """How far the student says what a teacher says."""
        return self.measure.fidelity(
            self._said(student, teacher=True),
            self._said(teacher, teacher=True),
            self._rows(teacher=True),
            seed=self._work.task.seed,
        )

    def _evaluate(
        self, predictor: Predictor, name: str, *, teacher: bool = False, **more: Any
    ) -> Evaluation:
        self.answered[name] = predictor.predict(self._inputs)
        return self.measure.evaluate(
            self._said(name, teacher=teacher),
            self._rows(teacher=teacher),
            seed=self._work.task.seed,
            name=name,
            **more,
        )

    def _rows(self, *, teacher: bool) -> list[Example]:
        return [row for row in self._test if not teacher or row.id in self._asked]

    def _said(self, name: str, *, teacher: bool) -> list[Prediction]:
        given = zip(self.answered[name], self._test, strict=True)
        return [answer for answer, row in given if not teacher or row.id in self._asked]

    def _notes(self, evaluation: Evaluation) -> list[str]:
        asked, missing = evaluation.n, evaluation.unanswered
        notes = [f"{asked} of the test rows"] if asked < len(self._test) else []
        if missing:
            notes.append(f"{missing} test rows without a usable answer count as wrong")
        return notes


def _asked_of_teacher(work: Stages, test: Sequence[Example]) -> Sequence[Example]:
    """The test rows that the teacher answered: all recorded ones, or a live teacher's sample."""
    teacher = work.task.teacher
    return test_sample(work) if teacher is not None and teacher.live else test


def _committee_first(
    answers: RecordedAnswers, test: Sequence[Example], unlabeled: Sequence[Example]
) -> list[RecordedPredictor]:
    """The teachers as predictors of the test rows; a committee of them stands first."""
    alone = [answers.predictor(name, test) for name in answers.teachers]
    if len(alone) < 2:
        return alone
    # How far each member is believed is estimated over all rows that they answered, as it
    # was for the training rows; no gold label is looked at.
    return [answers.committee([*test, *unlabeled]), *alone]


def _recorded_latency(
    answers: RecordedAnswers, teacher: str, test: Sequence[Example]
) -> Latency | None:
    """The wall times that were recorded with a teacher's answers to the test rows."""
    seconds = [
        answer.seconds
        for example in test
        for answer in answers.of(example)
        if answer.teacher == teacher and answer.seconds is not None
    ]
    return Latency.of_seconds(seconds) if seconds else None


def _latency(predictor: Predictor, inputs: Sequence[Input]) -> Latency:
    started = time.perf_counter()
    predictor.predict(inputs[:1])
    slow = time.perf_counter() - started > _SLOW_S
    timed = inputs[: _TIMED_ROWS // 8 if slow else _TIMED_ROWS]
    repeats = 1 if slow else _TIMED_REPEATS
    return measure_latency(lambda value: predictor.predict([value]), timed, repeats=repeats)
