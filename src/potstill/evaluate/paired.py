"""Two predictors on the same rows: paired bootstrap and the exact McNemar test."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Literal

import numpy as np

from potstill.data import Example, Prediction, Target
from potstill.evaluate.coding import code
from potstill.evaluate.flagging import average_precision_difference, cost_shares, in_cost
from potstill.evaluate.intervals import (
    FloatArray,
    Interval,
    difference_interval,
    ratio,
    resampled_sums,
)
from potstill.evaluate.metrics import (
    PRIMARY,
    RESAMPLES,
    LabelSums,
    label_columns,
    of_label,
    split_label_sums,
)
from potstill.evaluate.record import Record
from potstill.spec.flagging import FlagSpec
from potstill.spec.task import TaskType

SIGNIFICANCE = 0.05
"""A McNemar p-value at or above this is within noise."""

Outcome = Literal["better", "worse", "within noise"]


@dataclass(frozen=True, slots=True, kw_only=True)
class ComparedRow(Record):
    """One row, answered by both.

    Attributes:
        id: the row's id.
        gold: what was wanted.
        a: the first predictor's answer, None without one.
        b: the second predictor's answer.
        outcome: `win` where only the first is right, `loss` where only the second is,
            `tie` where both are right or both wrong.
    """

    id: str
    gold: Target
    a: Target | None
    b: Target | None
    outcome: Literal["win", "loss", "tie"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Comparison(Record):
    """The first of two predictors against the second, row by row.

    Attributes:
        names: the two predictors, first and second.
        kind: the type of the task.
        n: rows.
        differences: of each metric (`accuracy`, `macro_f1` and `micro_f1`, of labels), first
            minus second, each with a paired bootstrap interval.
        wins: rows that only the first has right; of texts those where it is better.
        losses: rows that only the second has right, or where it is better.
        ties: rows that both have right, or both wrong, or that are equally good.
        p_value: of the exact McNemar test on whole rows, of texts the sign test.
        rows: every row; empty in a report, where the counts suffice.
        flag: the rare label that is looked for, where there is one.
    """

    names: tuple[str, str]
    kind: TaskType
    n: int
    differences: dict[str, Interval]
    wins: int
    losses: int
    ties: int
    p_value: float
    rows: tuple[ComparedRow, ...] = ()
    flag: str | None = None

    @property
    def primary(self) -> str:
        """The metric that decides, see `PRIMARY`; with a flag its average precision."""
        return PRIMARY[self.kind] if self.flag is None else "average_precision"

    @property
    def difference(self) -> Interval:
        """Difference in the primary metric, first minus second."""
        return self.differences[self.primary]

    @property
    def outcome(self) -> Outcome:
        """Whether the first is better, worse, or not distinguishable on these rows.

        In classification McNemar's test and the bootstrap interval must agree that there is
        a difference; where rows are partly right, or ranked, the interval of the primary metric
        decides.
        """
        apart = self.difference.low > 0 or self.difference.high < 0
        tested = self.primary == PRIMARY["classification"]
        if not apart or (tested and self.p_value >= SIGNIFICANCE):
            return "within noise"
        return "better" if self.difference.value > 0 else "worse"

    def without_rows(self) -> Comparison:
        """The same comparison without its rows."""
        return replace(self, rows=())


def mcnemar_p(wins: int, losses: int) -> float:
    """Two-sided exact McNemar test: could a fair coin have shared out the disagreements?

    McNemar, "Note on the sampling error of the difference between correlated proportions",
    Psychometrika 12 (1947), with the exact binomial distribution in place of chi-squared:
    ``p = min(1, 2 P(X <= min(wins, losses)))`` for ``X ~ Binomial(wins + losses, 1/2)``.

    Args:
        wins: rows that only the first has right.
        losses: rows that only the second has right.
    """
    trials = wins + losses
    # Whole numbers of any size, so that nothing is lost in the far tail.
    ways, tail = 1, 0
    for successes in range(min(wins, losses) + 1):
        tail += ways
        ways = ways * (trials - successes) // (successes + 1)
    return min(1.0, 2 * tail / 2**trials)


def compare(
    a: Sequence[Prediction],
    b: Sequence[Prediction],
    gold: Sequence[Example],
    *,
    labels: Sequence[str],
    multilabel: bool = False,
    names: tuple[str, str] = ("a", "b"),
    flag: FlagSpec | None = None,
    seed: int = 0,
    resamples: int = RESAMPLES,
) -> Comparison:
    """Compare two predictors on the same rows.

    Both are resampled with the same rows (paired bootstrap; Efron & Tibshirani 1993, An
    Introduction to the Bootstrap, chapter 8), so that rows which are hard for both cancel.

    Args:
        a: answers of the first, in the order of `gold`.
        b: answers of the second.
        gold: rows whose target a person gave.
        labels: the labels in their one fixed order.
        multilabel: whether a row may have several labels, or none.
        names: the two predictors, for tables.
        flag: the rare label that is looked for; its ``average_precision`` decides.
        seed: of the bootstrap.
        resamples: number of bootstrap resamples.

    Raises:
        DataError: no rows, unequal lengths, or gold that does not fit the labels.
    """
    first = code(a, gold, labels=labels, multilabel=multilabel)
    second = code(b, gold, labels=labels, multilabel=multilabel)
    won, lost = first.right & ~second.right, second.right & ~first.right
    columns = np.hstack(
        [
            first.right[:, None],
            label_columns(first),
            second.right[:, None],
            label_columns(second),
        ]
    )
    sums = columns.sum(axis=0, dtype=float)
    here = _differences(sums[None], first.n)
    resampled = resampled_sums(columns, resamples=resamples, seed=seed)
    many = _differences(resampled, first.n)
    differences = {name: difference_interval(float(here[name][0]), many[name]) for name in here}
    if flag is not None:
        ranked = average_precision_difference(
            (a, b), first, flag.label, resamples=resamples, seed=seed
        )
        flagged = _flag_differences(sums, resampled, first.n, first.labels.index(flag.label), flag)
        differences = {"average_precision": ranked, **flagged, **differences}
    return Comparison(
        names=names,
        kind="multilabel" if multilabel else "classification",
        n=first.n,
        flag=None if flag is None else flag.label,
        differences=differences,
        wins=int(won.sum()),
        losses=int(lost.sum()),
        ties=int(first.n - won.sum() - lost.sum()),
        p_value=mcnemar_p(int(won.sum()), int(lost.sum())),
        rows=tuple(
            ComparedRow(
                id=example.id,
                gold=example.target or (),
                a=a[row].target,
                b=b[row].target,
                outcome="win" if won[row] else "loss" if lost[row] else "tie",
            )
            for row, example in enumerate(gold)
        ),
    )


def _differences(sums: FloatArray, rows: int) -> dict[str, FloatArray]:
    """First minus second, (resample,) each, of sums (resample, 2 * (1 + 3 * label))."""
    first, second = (_figures(half, rows) for half in np.split(sums, 2, axis=1))
    return {name: first[name] - second[name] for name in first}


def _flag_differences(
    sums: FloatArray, resampled: FloatArray, rows: int, label: int, flag: FlagSpec
) -> dict[str, Interval]:
    """Of precision, recall and cost at the threshold, first minus second."""

    def figures(halves: FloatArray) -> dict[str, FloatArray]:
        first, second = (
            of_label(split_label_sums(half[:, 1:]), label) for half in np.split(halves, 2, axis=1)
        )
        return {
            name: _flagged(first, rows, flag)[name] - other
            for name, other in _flagged(second, rows, flag).items()
        }

    here, many = figures(sums[None]), figures(resampled)
    found = {name: difference_interval(float(here[name][0]), many[name]) for name in here}
    if flag.costs is not None:
        found["flag_cost"] = in_cost(found["flag_cost"], flag.costs)
    return found


def _flagged(sums: LabelSums, rows: int, flag: FlagSpec) -> dict[str, FloatArray]:
    """Precision, recall and share of the greatest cost of one label, 0 where nothing is divided."""
    found = {
        "flag_precision": np.nan_to_num(ratio(sums.hits, sums.predicted)),
        "flag_recall": np.nan_to_num(ratio(sums.hits, sums.gold)),
    }
    if flag.costs is not None:
        found["flag_cost"] = cost_shares(*sums, flag.costs) / rows
    return found


def _figures(sums: FloatArray, rows: int) -> dict[str, FloatArray]:
    labels = split_label_sums(sums[:, 1:])
    return {
        "accuracy": sums[:, 0] / rows,
        "macro_f1": labels.macro_f1,
        "micro_f1": labels.micro_f1,
    }
