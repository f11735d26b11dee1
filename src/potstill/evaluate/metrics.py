"""Accuracy, F1, per-label scores, confusion, calibration and coverage of one predictor.

Numpy alone is needed, so that `potstill evaluate` works wherever a model runs.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from potstill.data import Example, Prediction, labels_of
from potstill.errors import DataError
from potstill.evaluate.calibration import (
    Calibration,
    CoveragePoint,
    calibration,
    chance_ece,
    coverage_columns,
    coverage_curve,
    coverage_thresholds,
    reliability_columns,
)
from potstill.evaluate.coding import BoolArray, Coded, code
from potstill.evaluate.decisions import FieldDecisions
from potstill.evaluate.flagging import IdleCosts, average_precision, cost_shares, in_cost
from potstill.evaluate.intervals import (
    FEW_ROWS,
    FloatArray,
    Interval,
    basic_interval,
    percentile_intervals,
    ratio,
    resampled_sums,
    share_interval,
)
from potstill.evaluate.record import Record
from potstill.evaluate.selective import Selective, selective
from potstill.evaluate.written import Written
from potstill.spec.flagging import Costs, FlagSpec
from potstill.spec.task import TaskType

RESAMPLES = 2000
"""Bootstrap resamples where a caller does not say otherwise."""

PRIMARY: dict[TaskType, str] = {
    "classification": "accuracy",
    "multilabel": "micro_f1",
    "extraction": "value_f1",
    "generation": "rouge_l",
}
"""The metric that decides a comparison, by type of task."""

FEW_ROWS_A_LABEL = 5
"""Below this many gold rows a label's scores are rough, and a warning says so."""


@dataclass(frozen=True, slots=True, kw_only=True)
class LabelScore(Record):
    """The scores of one label, taken against all others.

    A ratio without a denominator counts as 0 (``zero_division=0`` in scikit-learn) and has
    the interval [0, 1].

    Attributes:
        label: its name.
        precision: share of the rows answered with the label that deserve it.
        recall: share of the rows that deserve the label that got it.
        f1: harmonic mean of the two, ``2 tp / (support + predicted)``.
        support: gold rows with the label.
        predicted: rows answered with the label.
        threshold: the probability from which it is answered; None where the most probable label
            is, or where the predictor has no such notion.
    """

    label: str
    precision: Interval
    recall: Interval
    f1: Interval
    support: int
    predicted: int
    threshold: float | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Confusion(Record):
    """How often one answer was given where another was wanted.

    Attributes:
        gold: the label wanted; None in a multilabel task where a label was added and none
            is missing.
        predicted: the label answered; None where no answer was given, or where, in a
            multilabel task, a label is missing and none was added.
        n: rows.
    """

    gold: str | None
    predicted: str | None
    n: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Evaluation(Record):
    """How good one predictor is on gold rows.

    Attributes:
        name: the predictor.
        kind: the type of the task.
        labels: the labels in their one fixed order; of an extraction the fields, of texts none.
        n: gold rows.
        unanswered: rows without an answer within the labels; they count as wrong.
        metrics: `accuracy` (multilabel: share of the rows whose labels are all right),
            `macro_f1` (mean over the labels that occur in gold or answers, as scikit-learn
            with ``zero_division=0``) and `micro_f1`; of other types see `evaluate_fields` and
            `evaluate_texts`.
        per_label: one entry a label or field, in the order of `labels`.
        calibration: None where no answer has a confidence.
        coverage: accuracy against coverage, by falling confidence; empty without confidences.
        confusion: pairs of gold and answer, most frequent first. Classification: right
            answers included. Multilabel: errors alone, each missing label of a row paired
            with each label added to it.
        warnings: sentences that a reader must see beside the figures.
        flag: the rare label that is looked for; `metrics` then has its `average_precision`, its
            `flag_precision` and `flag_recall`, and where errors have costs its `flag_cost`.
        idle: what rows cost without a model, where errors have costs.
        selective: what it defers, and how right it is on the rest; None where it answers
            everything. The figures above take a deferred target for an answer.
        per_field: of an extraction the decisions on each field.
        written: what texts are like; None of other types.
    """

    name: str
    kind: TaskType
    labels: tuple[str, ...]
    n: int
    unanswered: int
    metrics: dict[str, Interval]
    per_label: tuple[LabelScore, ...]
    calibration: Calibration | None
    coverage: tuple[CoveragePoint, ...]
    confusion: tuple[Confusion, ...]
    warnings: tuple[str, ...]
    flag: str | None = None
    idle: IdleCosts | None = None
    selective: Selective | None = None
    per_field: tuple[FieldDecisions, ...] = ()
    written: Written | None = None

    @property
    def multilabel(self) -> bool:
        """Whether a row may have several labels, or none."""
        return self.kind == "multilabel"

    @property
    def primary(self) -> str:
        """The metric that decides, see `PRIMARY`; of a rare label its average precision."""
        return PRIMARY[self.kind] if self.flag is None else "average_precision"

    @property
    def score(self) -> Interval:
        """The primary metric."""
        return self.metrics[self.primary]


class LabelSums(NamedTuple):
    """Sums over rows for each label, of one or many resamples: (..., label) each."""

    hits: FloatArray
    predicted: FloatArray
    gold: FloatArray

    @property
    def f1(self) -> FloatArray:
        """F1 (..., label); NaN for a label that occurs in neither gold nor answers."""
        return ratio(2 * self.hits, self.gold + self.predicted)

    @property
    def macro_f1(self) -> FloatArray:
        """Mean F1 over the labels that occur in gold or answers; 0 where none does."""
        occurs = (self.gold + self.predicted) > 0
        total = np.where(occurs, np.nan_to_num(self.f1), 0.0).sum(axis=-1)
        return total / np.maximum(occurs.sum(axis=-1), 1)

    @property
    def micro_f1(self) -> FloatArray:
        """F1 over the decisions of all labels together; 0 where no label occurs."""
        whole = (self.gold + self.predicted).sum(axis=-1)
        return np.nan_to_num(ratio(2 * self.hits.sum(axis=-1), whole))


def evaluate(
    predictions: Sequence[Prediction],
    gold: Sequence[Example],
    *,
    labels: Sequence[str],
    multilabel: bool = False,
    seed: int = 0,
    resamples: int = RESAMPLES,
    name: str = "",
    outside: Sequence[Prediction] = (),
    flag: FlagSpec | None = None,
    thresholds: Mapping[str, float] | None = None,
) -> Evaluation:
    """Judge predictions against gold, every figure with a bootstrap interval.

    Args:
        predictions: one a row, in the order of `gold`; an answer of None counts as wrong.
        gold: rows whose target a person gave.
        labels: the labels in their one fixed order.
        multilabel: whether a row may have several labels, or none.
        seed: of the bootstrap.
        resamples: number of bootstrap resamples.
        name: the predictor, for tables.
        outside: predictions of rows that fit none of the labels; they count in `selective`.
        flag: the rare label that is looked for, and what errors cost.
        thresholds: from which probability the predictor answers a label, where it has thresholds.

    Raises:
        DataError: no rows, unequal lengths, or gold that does not fit the labels.
    """
    coded = code(predictions, gold, labels=labels, multilabel=multilabel)
    levels = coverage_thresholds(coded)
    parts = [
        coded.right[:, None],
        label_columns(coded),
        reliability_columns(coded),
        coverage_columns(coded, levels),
    ]
    ends = np.cumsum([part.shape[1] for part in parts])[:-1]
    columns = np.hstack(parts)
    sums = columns.sum(axis=0, dtype=float)
    resampled = resampled_sums(columns, resamples=resamples, seed=seed)
    right, by_label, bins, covered = np.split(sums, ends)
    many_right, many_by_label, many_bins, many_covered = np.split(resampled, ends, axis=1)

    here, many = split_label_sums(by_label), split_label_sums(many_by_label)
    flat = percentile_intervals(
        np.array([right[0] / coded.n, here.micro_f1]),
        np.column_stack([many_right[:, 0] / coded.n, many.micro_f1]),
        coded.n,
    )
    macro = basic_interval(float(here.macro_f1), many.macro_f1, coded.n)
    metrics = {"accuracy": flat[0], "macro_f1": macro, "micro_f1": flat[1]}
    per_label = label_scores(coded.labels, here, many, thresholds or {})
    if flag is not None:
        ranked = average_precision(predictions, coded, flag.label, resamples=resamples, seed=seed)
        flagged = per_label[coded.labels.index(flag.label)]
        told = {"flag_precision": flagged.precision, "flag_recall": flagged.recall}
        if flag.costs is not None:
            told["flag_cost"] = _cost(here, many, coded, flag.label, flag.costs)
        metrics = {"average_precision": ranked, **told, **metrics}
    return Evaluation(
        name=name,
        kind="multilabel" if multilabel else "classification",
        labels=coded.labels,
        n=coded.n,
        unanswered=int((~coded.answered).sum()),
        metrics=metrics,
        per_label=per_label,
        calibration=calibration(bins, many_bins, chance_ece(coded, resamples=resamples, seed=seed)),
        coverage=coverage_curve(levels, covered, many_covered, coded.n),
        confusion=_confusion(coded, multilabel=multilabel),
        warnings=_warnings(coded),
        flag=None if flag is None else flag.label,
        idle=None
        if flag is None or flag.costs is None
        else IdleCosts.of(coded, flag.label, flag.costs),
        selective=selective(predictions, gold, outside, resamples=resamples, seed=seed)
        if outside or any(given.deferred for given in predictions)
        else None,
    )


def fidelity(
    student: Sequence[Prediction],
    teacher: Sequence[Prediction],
    *,
    seed: int = 0,
    resamples: int = RESAMPLES,
) -> Interval:
    """Share of the teacher's answers that the student gives too, right or wrong.

    Rows that the teacher did not answer are left out; a row that the student did not answer
    is a disagreement. Labels of a multilabel row must all agree, in any order.

    Raises:
        DataError: unequal lengths, or the teacher answered no row.
    """
    if len(student) != len(teacher):
        raise DataError(f"{len(student)} answers cannot be set beside {len(teacher)}")
    agreed = [
        _as_set(mine) == _as_set(theirs)
        for mine, theirs in zip(student, teacher, strict=True)
        if theirs.target is not None
    ]
    if not agreed:
        raise DataError("the teacher answered none of the rows")
    return share_interval(np.array(agreed), resamples=resamples, seed=seed)


def label_columns(coded: Coded) -> BoolArray:
    """What F1 sums: hits, answers and gold of each label, (row, 3 * label)."""
    return np.hstack([coded.gold & coded.predicted, coded.predicted, coded.gold])


def split_label_sums(sums: FloatArray) -> LabelSums:
    """`label_columns`, summed to (..., 3 * label), as its three parts."""
    return LabelSums(*np.split(sums, 3, axis=-1))


def label_scores(
    labels: tuple[str, ...],
    here: LabelSums,
    many: LabelSums,
    thresholds: Mapping[str, float] | None = None,
) -> tuple[LabelScore, ...]:
    """The scores of each label, with intervals.

    Args:
        labels: in their one fixed order.
        here: sums over the rows as they are (label,).
        many: sums over resampled rows (resample, label).
        thresholds: from which probability a label is answered.
    """
    precision = percentile_intervals(
        ratio(here.hits, here.predicted), ratio(many.hits, many.predicted), here.predicted
    )
    recall = percentile_intervals(
        ratio(here.hits, here.gold), ratio(many.hits, many.gold), here.gold
    )
    # An F1 of exactly 0 or 1 rests on the gold rows, or on the answers where gold has none.
    basis = np.where(here.gold > 0, here.gold, here.predicted)
    f1 = percentile_intervals(here.f1, many.f1, basis)
    return tuple(
        LabelScore(
            label=label,
            precision=precision[index],
            recall=recall[index],
            f1=f1[index],
            support=int(here.gold[index]),
            predicted=int(here.predicted[index]),
            threshold=None if thresholds is None else thresholds.get(label),
        )
        for index, label in enumerate(labels)
    )


def of_label(sums: LabelSums, index: int) -> LabelSums:
    """The sums of one label alone (...,)."""
    return LabelSums(*(part[..., index] for part in sums))


def _cost(here: LabelSums, many: LabelSums, coded: Coded, label: str, costs: Costs) -> Interval:
    index = coded.labels.index(label)
    mean, spread = (cost_shares(*of_label(sums, index), costs) / coded.n for sums in (here, many))
    return in_cost(percentile_intervals(np.array([mean]), spread[:, None], coded.n)[0], costs)


def _confusion(coded: Coded, *, multilabel: bool) -> tuple[Confusion, ...]:
    missing, added = coded.gold & ~coded.predicted, coded.predicted & ~coded.gold
    counts: Counter[tuple[str | None, str | None]] = Counter()
    for row in range(coded.n):
        if coded.right[row] and multilabel:
            continue
        left, right = (missing, added) if multilabel else (coded.gold, coded.predicted)
        counts.update(
            (wanted, got)
            for wanted in _names(left[row], coded.labels)
            for got in _names(right[row], coded.labels)
        )
    return tuple(
        Confusion(gold=wanted, predicted=got, n=n)
        for (wanted, got), n in counts.most_common()
        if (wanted, got) != (None, None)
    )


def _names(member: NDArray[np.bool_], labels: tuple[str, ...]) -> list[str | None]:
    """The labels of a row; ``[None]`` where it has none."""
    return [labels[index] for index in np.flatnonzero(member)] or [None]


def _warnings(coded: Coded) -> tuple[str, ...]:
    found: list[str] = []
    if coded.n < FEW_ROWS:
        found.append(
            f"Only {coded.n} rows: below {FEW_ROWS} rows the intervals are rough, and a "
            "difference must be very large to be seen."
        )
    absent = [coded.labels[index] for index in np.flatnonzero(~coded.gold.any(axis=0))]
    if absent:
        listed = ", ".join(absent[:5]) + (", …" if len(absent) > 5 else "")
        those = "1 label has" if len(absent) == 1 else f"{len(absent)} labels have"
        found.append(f"{those} no gold row, so nothing is known about how well: {listed}.")
    support = coded.gold.sum(axis=0)
    thin = int(((support > 0) & (support < FEW_ROWS_A_LABEL)).sum())
    if thin:
        those = "1 label has" if thin == 1 else f"{thin} labels have"
        found.append(
            f"{those} fewer than {FEW_ROWS_A_LABEL} gold rows: their scores, and the macro-F1 "
            "that averages them, are rough."
        )
    if not coded.answered.any():
        found.append("No row was answered.")
    return tuple(found)


def _as_set(prediction: Prediction) -> frozenset[str] | None:
    return None if prediction.target is None else frozenset(labels_of(prediction.target))
