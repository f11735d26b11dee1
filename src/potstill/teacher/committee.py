"""Several teachers as a committee: whom to believe, and how far, without a single gold label.

**Whom.** Dawid and Skene (1979) see each row's true label as hidden and each teacher as a
confusion matrix; expectation-maximisation alternates between them:

    E:  q_i(j) ∝ p(j) ∏_t π_t(j, l_it)            M:  π_t(j, l) ∝ Σ_i q_i(j) [l_it = l]

for row i, true label j, teacher t and its vote l_it. Each row of π_t is smoothed towards a
teacher that errs evenly at its own overall rate, so that a large taxonomy with few rows falls
back on one accuracy a teacher. Teacher t weighs w_t = log(a_t (K-1) / (1 - a_t)), the log-odds
of its estimated accuracy a_t against chance among K labels (Nitzan and Paroush 1982), and
nothing where a_t is no better than chance.

**How far.** The product in the E step supposes that teachers err independently. Large models do
not: they learnt from the same texts and misread the same rows, and fourteen of them would be
"99.9 % sure" where they are right three times in four. The soft label is therefore the linear
opinion pool (Stone 1961), which supposes nothing about dependence:

    s_i(j) = Σ_t w_t π_t(j | l_it) / Σ_t w_t      with  π_t(j | l) ∝ p(j) π_t(j, l)

It is never surer than its surest member, and one that answers at random hardly moves it. What
teachers misread alike nobody can see without gold, so the estimated accuracies are too high in
level, and several versions of one model vote each other up: their order is what counts, among
teachers of different families.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]

_ROUNDS = 100
_TOLERANCE = 1e-5


@dataclass(frozen=True, slots=True)
class Votes:
    """Votes of T teachers over K labels for N rows; one who did not vote is simply absent.

    A teacher that answered a row several times casts fractions that sum to one.

    Attributes:
        rows: row of each vote, ``(vote,)``.
        teachers: teacher of each vote, ``(vote,)``.
        labels: label of each vote, ``(vote,)``.
        shares: fraction of the teacher's say on that row, ``(vote,)``.
        shape: (N, T, K).
    """

    rows: NDArray[np.int64]
    teachers: NDArray[np.int64]
    labels: NDArray[np.int64]
    shares: Floats
    shape: tuple[int, int, int]

    @classmethod
    def of(cls, votes: list[tuple[int, int, int, float]], shape: tuple[int, int, int]) -> Votes:
        """Votes from (row, teacher, label, share)."""
        table = np.array(votes, dtype=np.float64).reshape(-1, 4)
        rows, teachers, labels = table[:, :3].astype(np.int64).T
        return cls(rows, teachers, labels, table[:, 3], shape)

    def by_teacher(self) -> list[tuple[NDArray[np.int64], NDArray[np.int64], Floats]]:
        """Each teacher's (rows, labels, shares)."""
        order = np.argsort(self.teachers, kind="stable")
        edges = np.searchsorted(self.teachers[order], np.arange(self.shape[1] + 1))
        return [
            (self.rows[part], self.labels[part], self.shares[part])
            for part in (order[start:end] for start, end in pairwise(edges))
        ]


@dataclass(frozen=True, slots=True)
class Committee:
    """What the votes say about the teachers.

    Attributes:
        accuracy: estimated share of each teacher's answers that are right, ``(teacher,)``;
            too high in level where teachers err alike, sound as an order.
        weights: each teacher's say, summing to one, ``(teacher,)``.
        confusion: probability of each answer under each true label, ``(teacher, true, answer)``.
        prior: share of each label, ``(label,)``.
        posterior: Dawid and Skene's posterior, ``(row, label)``: fit to pick winners,
            overconfident as a soft label.
    """

    accuracy: Floats
    weights: Floats
    confusion: Floats
    prior: Floats
    posterior: Floats

    def soft_labels(self, votes: Votes) -> Floats:
        """The linear opinion pool, ``(row, label)``; a row that nobody answered gets the prior."""
        pool = np.zeros((votes.shape[0], votes.shape[2]))
        for weight, confusion, (rows, labels, shares) in zip(
            self.weights, self.confusion, votes.by_teacher(), strict=True
        ):
            belief = self.prior[:, None] * confusion
            belief /= belief.sum(axis=0)
            np.add.at(pool, rows, weight * shares[:, None] * belief.T[labels])
        total = pool.sum(axis=1, keepdims=True)
        return np.where(total > 0, pool / np.where(total > 0, total, 1.0), self.prior)


def estimate(votes: Votes) -> Committee:
    """Estimate every teacher from the votes alone.

    Args:
        votes: at least one vote of each teacher, at least two labels.
    """
    n_rows, n_teachers, n_labels = votes.shape
    ballots = votes.by_teacher()
    counts = np.zeros((n_rows, n_labels))
    np.add.at(counts, (votes.rows, votes.labels), votes.shares)
    posterior = (counts + 1e-9) / (counts + 1e-9).sum(axis=1, keepdims=True)
    rounds = 0
    while True:
        before = posterior
        prior = (before.sum(axis=0) + 1.0) / (n_rows + n_labels)
        fits = [_confusion(before, *ballot, n_labels) for ballot in ballots]
        log_joint = np.tile(np.log(prior), (n_rows, 1))
        for (confusion, _), (rows, labels, shares) in zip(fits, ballots, strict=True):
            np.add.at(log_joint, rows, shares[:, None] * np.log(confusion).T[labels])
        posterior = np.exp(log_joint - log_joint.max(axis=1, keepdims=True))
        posterior /= posterior.sum(axis=1, keepdims=True)
        rounds += 1
        if rounds == _ROUNDS or np.abs(posterior - before).max(initial=0.0) < _TOLERANCE:
            break
    accuracy = np.array([right for _, right in fits])
    weights = np.maximum(0.0, np.log(accuracy * (n_labels - 1) / (1.0 - accuracy)))
    if not weights.any():
        weights = np.ones(n_teachers)
    confusions = np.stack([confusion for confusion, _ in fits])
    return Committee(accuracy, weights / weights.sum(), confusions, prior, posterior)


def _confusion(
    posterior: Floats,
    rows: NDArray[np.int64],
    labels: NDArray[np.int64],
    shares: Floats,
    n_labels: int,
) -> tuple[Floats, float]:
    """One teacher's confusion matrix ``(true, answer)`` and its accuracy, by the M step.

    Pseudo-counts: one right and one wrong answer for the accuracy; one answer a label for
    each row of the matrix, spread as that accuracy and the teacher's own habits say.
    """
    counts = np.zeros((n_labels, n_labels))
    np.add.at(counts.T, labels, shares[:, None] * posterior[rows])
    accuracy = float((np.trace(counts) + 1.0) / (counts.sum() + 2.0))
    habit = counts.sum(axis=0) + 1.0
    errors = np.where(np.eye(n_labels, dtype=bool), 0.0, habit)
    errors /= errors.sum(axis=1, keepdims=True)
    even = accuracy * np.eye(n_labels) + (1.0 - accuracy) * errors
    counts += n_labels * even
    return counts / counts.sum(axis=1, keepdims=True), accuracy
