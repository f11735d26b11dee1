"""From the answers of one or several teachers to one target a row, hard and soft."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from potstill.data import Target, labels_of
from potstill.teacher.answer import Answer
from potstill.teacher.committee import Committee, Votes, estimate


@dataclass(frozen=True, slots=True)
class Verdict:
    """What the teachers say of one row, taken together.

    Attributes:
        target: the winner (multilabel: every label with a probability of at least 0.5). Of
            labels that tie, the first in the order of the task.
        soft: a probability for each label; None where the row was answered once and hard,
            since that says nothing about its own certainty.
    """

    target: Target
    soft: Mapping[str, float] | None


@dataclass(frozen=True, slots=True)
class Consensus:
    """The verdict on each row, and how far each teacher was believed.

    Attributes:
        verdicts: one a row; None where no answer can be used.
        accuracy: teacher to its estimated accuracy (multilabel: mean over labels); empty
            for a single teacher, of whom votes alone tell nothing.
        weights: teacher to its say, summing to one; empty for a single teacher.
    """

    verdicts: list[Verdict | None]
    accuracy: Mapping[str, float]
    weights: Mapping[str, float]


def reach_consensus(
    answers: Sequence[Sequence[Answer]], *, labels: tuple[str, ...], multilabel: bool
) -> Consensus:
    """Join every row's answers into a verdict; see `potstill.teacher.committee` for the method.

    Args:
        answers: the answers to each row, usable or not.
        labels: the taxonomy in its fixed order.
        multilabel: whether a row may have several labels. Each label is then a question of
            its own, present or absent, with its own estimate of the teachers.
    """
    usable = [[answer for answer in row if answer.target is not None] for row in answers]
    teachers = list(dict.fromkeys(answer.teacher for row in usable for answer in row))
    # A question is a label (multilabel) or all of them; its classes are what an answer may say.
    questions: list[Sequence[str]] = [[label] for label in labels] if multilabel else [labels]
    soft = np.zeros((len(usable), len(labels)))
    fits: list[Committee] = []
    for place, question in enumerate(questions):
        votes = _votes(usable, teachers, question, multilabel=multilabel)
        if len(teachers) > 1:
            fits.append(estimate(votes))
            pool = fits[-1].soft_labels(votes)
        else:
            pool = np.zeros((votes.shape[0], votes.shape[2]))
            np.add.at(pool, (votes.rows, votes.labels), votes.shares)
        if multilabel:
            soft[:, place] = pool[:, 1]
        else:
            soft = pool
    verdicts = [
        _verdict(row, dict(zip(labels, map(float, shares), strict=True)), multilabel)
        for row, shares in zip(usable, soft, strict=True)
    ]
    return Consensus(
        verdicts,
        _mean(teachers, [fit.accuracy for fit in fits]),
        _mean(teachers, [fit.weights for fit in fits]),
    )


def _votes(
    rows: Sequence[Sequence[Answer]],
    teachers: Sequence[str],
    question: Sequence[str],
    *,
    multilabel: bool,
) -> Votes:
    teacher_at = {name: place for place, name in enumerate(teachers)}
    label_at = {label: place for place, label in enumerate(question)}
    votes: list[tuple[int, int, int, float]] = []
    for number, row in enumerate(rows):
        given = [answer.teacher for answer in row]
        for answer in row:
            share = 1.0 / given.count(answer.teacher)
            teacher = teacher_at[answer.teacher]
            for said, part in _ballot(answer, question, label_at, multilabel=multilabel):
                votes.append((number, teacher, said, share * part))
    return Votes.of(votes, (len(rows), len(teachers), 2 if multilabel else len(question)))


def _ballot(
    answer: Answer, question: Sequence[str], label_at: Mapping[str, int], *, multilabel: bool
) -> list[tuple[int, float]]:
    """The classes that an answer names, with its shares: one class with all, where it is hard."""
    if multilabel:
        label = question[0]
        present = float(label in labels_of(answer.target))
        if answer.scores is not None:
            present = answer.scores.get(label, 0.0)
        shares = [(1, present), (0, 1.0 - present)]
    elif answer.scores is not None:
        shares = [(label_at[label], share) for label, share in answer.scores.items()]
    else:
        shares = [(label_at[str(answer.target)], 1.0)]
    return [(said, share) for said, share in shares if share > 0.0]


def _verdict(row: Sequence[Answer], shares: dict[str, float], multilabel: bool) -> Verdict | None:
    if not row:
        return None
    target: Target
    if multilabel:
        target = tuple(label for label, share in shares.items() if share >= 0.5)
    else:
        target = max(shares, key=shares.__getitem__)
    hard = len(row) == 1 and row[0].scores is None
    return Verdict(target, None if hard else shares)


def _mean(teachers: Sequence[str], figures: Sequence[np.ndarray]) -> dict[str, float]:
    if not figures:
        return {}
    return dict(zip(teachers, map(float, np.mean(figures, axis=0)), strict=True))
