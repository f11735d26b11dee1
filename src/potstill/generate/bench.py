"""The bench of the audition: gold rows on which ways of asking are tried, one after the other."""

from __future__ import annotations

import math
import random
import statistics
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np

from potstill.data import Example, Target
from potstill.data.reading import Row
from potstill.generate.asking import ask_examples
from potstill.generate.fusion import Evidence, Fusion
from potstill.generate.method import Method
from potstill.generate.retrieval import Shown
from potstill.generate.trial import Floats, Fused, Trial
from potstill.spec.task import Columns, Task
from potstill.teacher import Answer, Verdict, form_of
from potstill.teacher.records import RecordReader
from potstill.teacher.request import Asker

PURPOSE = "audition"

FEWEST_ROWS_TO_FUSE = 20
"""Fewest answered gold rows from which the weights of a fusion are fitted."""

SHORTLIST_RECALL = 0.9
"""Share of the gold rows whose labels a shortlist must hold."""

_LEAST_SHORTLIST = 3


class Bench:
    """Gold rows on which methods are tried, one after the other.

    A row that is asked about must not stand in the prompt. Retrieval leaves it out by itself;
    for examples in the system turn the rows are in two folds, and those of one fold are asked
    with the examples of the other, so that two prefixes suffice.

    Args:
        task: the question.
        asker: who has requests answered.
        shown: what may be shown.
        folds: the gold rows to ask about: one fold where none of them is shown, else two.
        hidden: for each fold the examples that are not shown to it.
    """

    def __init__(
        self,
        task: Task,
        asker: Asker,
        shown: Shown,
        folds: Sequence[Sequence[Example]],
        hidden: Sequence[Sequence[Example]],
    ) -> None:
        self.name = asker.provider.name
        self.rows = [row for fold in folds for row in fold]
        self.thinks = False
        self._task = task
        self._asker = asker
        self._shown = shown
        self._folds = folds
        self._hidden = hidden
        self._form = form_of(task.answer)

    @classmethod
    def of(
        cls,
        task: Task,
        asker: Asker,
        shown: Shown,
        gold: Sequence[Example],
        *,
        rows: int,
        seed: int,
        folds: bool,
    ) -> Bench:
        """A bench with some of the gold rows, their labels in proportion.

        Args:
            task: the question.
            asker: who has requests answered.
            shown: what may be shown.
            gold: rows to choose from.
            rows: how many are asked about, at most.
            seed: of the choice.
            folds: whether they are among the examples that may be shown.
        """
        generator = random.Random(f"{seed}:audition")
        ordered = sorted(gold, key=lambda row: (str(row.target), generator.random()))
        # Neighbours have the same label, mostly; every other row goes into the other fold.
        parts = [ordered[::2], ordered[1::2]] if folds else [ordered]
        asked = [_evenly(part, math.ceil(rows / len(parts))) for part in parts]
        for fold in asked:
            generator.shuffle(fold)
        return cls(task, asker, shown, asked, parts if folds else [[]])

    def find_thought(self, rows: int) -> None:
        """See whether the model brings a thought of its own, on the first rows, asked barely."""
        answers = list(self._ask(self._folds[0][:rows], Method(), self._shown))
        self.thinks = sum("reasoning" in answer for answer in answers) * 2 > len(answers)

    def scores_of(self, targets: Sequence[Target | None]) -> Floats:
        """The score of each row (row,) for an answer to each."""
        pairs = zip(targets, self.rows, strict=True)
        return np.array([_agreement(target, row.target) for target, row in pairs])

    def majority(self) -> Floats:
        """The score of each row (row,) for the most frequent answer."""
        ((answer, _),) = Counter(row.target for row in self.rows).most_common(1)
        return self.scores_of([answer] * len(self.rows))

    def nearest(self) -> float | None:
        """Mean score where the label with the nearest prototype is taken.

        None without gold examples or an embedding, and in a multilabel task.
        """
        index, labels = self._shown.index, self._task.label_names
        if index is None or not self._shown.examples or self._task.multilabel:
            return None
        best = index.scores_of(self.rows).argmax(axis=1)
        return float(self.scores_of([labels[place] for place in best]).mean())

    def shortlist(self) -> int:
        """The fewest labels that retrieval must offer so that the right ones are among them.

        That is on `SHORTLIST_RECALL` of the rows; 0 where it takes over half of the labels, or
        where there is no retrieval.
        """
        index, labels = self._shown.index, self._task.label_names
        if index is None:
            return 0
        needed: list[int] = []
        for row, places in zip(self.rows, index.ranking_of(self.rows).tolist(), strict=True):
            target = (row.target,) if isinstance(row.target, str) else row.target or ()
            ranks = [rank for rank, place in enumerate(places, 1) if labels[place] in target]
            needed.append(max(ranks, default=1))
        needed.sort()
        size = max(_LEAST_SHORTLIST, needed[math.ceil(SHORTLIST_RECALL * len(needed)) - 1])
        return size if 2 * size <= len(labels) else 0

    def run(self, method: Method) -> Trial:
        """Try a method on all rows.

        Raises:
            BudgetReached: the next request could pass the cap.
            TeacherError: the teacher cannot be asked.
        """
        answers: defaultdict[str, list[dict[str, Any]]] = defaultdict(list)
        for answer in self._answers(method):
            answers[answer["id"]].append(answer)
        rows = [answers[row.id] for row in self.rows]
        said = [self._read(votes) for votes in rows]
        verdicts = self._form.agree(said).verdicts
        right = self.scores_of([None if v is None else v.target for v in verdicts])
        answered = [[a.target for a in votes if a.target is not None] for votes in said]
        flipped = [len(set(targets)) > 1 for targets in answered if targets]
        faults = (vote.get("detail") for votes in rows for vote in votes)
        return Trial(
            method=method,
            right=right,
            fused=self._fuse(verdicts, right),
            unanswered=sum(not targets for targets in answered) / len(rows),
            flips=statistics.fmean(flipped) if method.votes > 1 and flipped else None,
            usd=_figure(rows, "cost_usd", statistics.fmean),
            seconds=_figure(rows, "seconds", statistics.median),
            prompt_tokens=_figure(rows, "prompt_tokens", statistics.fmean),
            completion_tokens=_figure(rows, "completion_tokens", statistics.fmean),
            trouble=next((detail for detail in faults if detail), None),
        )

    def _answers(self, method: Method) -> Iterable[dict[str, Any]]:
        if not self._shown.prefix(method):
            yield from self._ask(self.rows, method, self._shown)
            return
        for fold, hidden in zip(self._folds, self._hidden, strict=True):
            yield from self._ask(fold, method, self._shown.but(hidden))

    def _ask(
        self, rows: Sequence[Example], method: Method, shown: Shown
    ) -> Iterable[dict[str, Any]]:
        return ask_examples(
            rows,
            self._asker,
            task=self._task,
            method=method,
            shown=shown,
            purpose=PURPOSE,
            thinks=self.thinks,
        )

    def _read(self, votes: Sequence[Mapping[str, Any]]) -> list[Answer]:
        reader = RecordReader(self._form, Columns())
        records = [reader.read(Row(self.name, vote), self.name) or [] for vote in votes]
        return [record.answer for found in records for record in found]

    def _fuse(self, verdicts: Sequence[Verdict | None], right: Floats) -> Fused | None:
        index, labels = self._shown.index, self._task.label_names
        told = [place for place, verdict in enumerate(verdicts) if verdict is not None]
        if index is None or self._task.multilabel or len(told) < FEWEST_ROWS_TO_FUSE:
            return None
        evidence = Evidence.of(
            labels,
            [_shares(verdict) for verdict in verdicts],
            index.scores_of(self.rows),
            [str(row.target) for row in self.rows],
        )
        nearest = evidence.nearness_alone().held_out()
        answered = evidence.of_rows(told)
        joint = nearest.copy()
        joint[told] = answered.held_out()
        fused = right.copy()
        fused[told] = (joint.argmax(axis=1) == evidence.gold)[told]
        teacher_loss = float(answered.loss(answered.teacher()).mean())
        loss = evidence.loss(joint)
        return Fused(
            fusion=Fusion.fit(index.rule, labels, answered),
            right=fused,
            loss=loss,
            teacher_loss=teacher_loss,
            nearest_loss=float(evidence.loss(nearest).mean()),
            pays=bool(fused.mean() >= right.mean() and loss[told].mean() < teacher_loss),
        )


def _shares(verdict: Verdict | None) -> Mapping[str, float]:
    """A verdict as a distribution; that of none is empty."""
    if verdict is None:
        return {}
    return verdict.soft or {str(verdict.target): 1.0}


def _agreement(answer: Target | None, gold: Target | None) -> float:
    """1 where they are equal, 0 where not; the F1 of two sets of labels."""
    if not (isinstance(answer, tuple) and isinstance(gold, tuple)):
        return float(answer is not None and answer == gold)
    both = len(set(answer) & set(gold))
    return 2 * both / (len(answer) + len(gold)) if answer or gold else 1.0


def _figure(rows: Sequence[Sequence[Mapping[str, Any]]], key: str, average: Any) -> float | None:
    """The average over rows of a figure that is added up over the votes; None where unknown."""
    known = [
        sum(vote[key] for vote in votes)
        for votes in rows
        if votes and all(key in vote for vote in votes)
    ]
    return float(average(known)) if known else None


def _evenly(rows: Sequence[Example], count: int) -> list[Example]:
    """Some rows of many, at even distances."""
    if len(rows) <= count:
        return list(rows)
    return [rows[int((n + 0.5) * len(rows) / count)] for n in range(count)]
