"""Value F1, exact-span F1, document accuracy, calibration and coverage of an extraction."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence

import numpy as np

from potstill.data import Example, Prediction
from potstill.evaluate.calibration import (
    calibration,
    chance_ece,
    coverage_columns,
    coverage_curve,
    coverage_thresholds,
    reliability_columns,
)
from potstill.evaluate.coding import Decisions
from potstill.evaluate.coding_fields import CodedFields, code_fields
from potstill.evaluate.decisions import FieldDecisions
from potstill.evaluate.intervals import (
    FEW_ROWS,
    FloatArray,
    Interval,
    difference_interval,
    percentile_intervals,
    ratio,
    resampled_sums,
)
from potstill.evaluate.metrics import (
    FEW_ROWS_A_LABEL,
    RESAMPLES,
    Evaluation,
    label_scores,
    split_label_sums,
)
from potstill.evaluate.paired import ComparedRow, Comparison, mcnemar_p
from potstill.evaluate.selective import Selective


def evaluate_fields(
    predictions: Sequence[Prediction],
    gold: Sequence[Example],
    *,
    fields: Collection[str],
    seed: int = 0,
    resamples: int = RESAMPLES,
    name: str = "",
) -> Evaluation:
    """Judge extractions against gold, every figure with a bootstrap interval over documents.

    The metrics are `value_f1`, micro-F1 over the upper-cased values of each document and field
    as sets (the measure of Kleister: Stanislawek et al., "Kleister: Key Information Extraction
    Datasets Involving Long Documents with Complex Layouts", ICDAR 2021); `span_f1`, micro-F1
    over field, start and end, where gold has places; and `document_accuracy`, the share of the
    documents of which all fields are right. A field that is unsure counts with its guess.

    Args:
        predictions: one a document, in the order of `gold`.
        gold: rows whose values a person recorded.
        fields: the fields in their one fixed order.
        seed: of the bootstrap.
        resamples: number of bootstrap resamples.
        name: the predictor, for tables.

    Raises:
        DataError: no rows, unequal lengths, or gold that is no extraction of these fields.
    """
    coded = code_fields(predictions, gold, fields=fields)
    decided = [coded.decisions(index) for index in range(len(coded.fields))]
    thresholds = coverage_thresholds(coded.all_decisions())
    sums, many = _resample(
        {
            **_figure_columns(coded),
            "kept": coded.kept,
            "wrong": coded.kept & ~coded.right,
            "bins": _summed(reliability_columns(field) for field in decided),
            "curve": _summed(coverage_columns(field, thresholds) for field in decided),
        },
        resamples=resamples,
        seed=seed,
    )
    decisions = coded.n * len(coded.fields)
    by_chance = chance_ece(coded.all_decisions(), resamples=resamples, seed=seed)
    return Evaluation(
        name=name,
        kind="extraction",
        labels=coded.fields,
        n=coded.n,
        unanswered=int((~coded.answered).sum()),
        metrics=_metrics(coded, sums, many),
        per_label=label_scores(
            coded.fields, split_label_sums(sums["values"]), split_label_sums(many["values"])
        ),
        calibration=calibration(sums["bins"], many["bins"], by_chance),
        coverage=coverage_curve(thresholds, sums["curve"], many["curve"], decisions),
        confusion=(),
        warnings=_warnings(coded),
        selective=None if coded.kept.all() else _selective(coded, sums, many),
        per_field=tuple(
            _of_field(coded, index, field, sums, many, resamples=resamples, seed=seed)
            for index, field in enumerate(decided)
        ),
    )


def compare_fields(
    a: Sequence[Prediction],
    b: Sequence[Prediction],
    gold: Sequence[Example],
    *,
    fields: Collection[str],
    names: tuple[str, str] = ("a", "b"),
    seed: int = 0,
    resamples: int = RESAMPLES,
) -> Comparison:
    """Compare two extractors on the same documents, as `compare` does for labels.

    A document is won where the first alone has all fields right.

    Args:
        a: answers of the first, in the order of `gold`.
        b: answers of the second.
        gold: rows whose values a person recorded.
        fields: the fields in their one fixed order.
        names: the two predictors, for tables.
        seed: of the bootstrap.
        resamples: number of bootstrap resamples.

    Raises:
        DataError: no rows, unequal lengths, or gold that is no extraction of these fields.
    """
    pair = [code_fields(answers, gold, fields=fields) for answers in (a, b)]
    # The same seed and number of documents draw the same resamples: the bootstrap is paired.
    figures = [
        (_figures(sums, coded.n), _figures(many, coded.n))
        for coded in pair
        for sums, many in [_resample(_figure_columns(coded), resamples=resamples, seed=seed)]
    ]
    (here, spread), (there, other_spread) = figures
    won, lost = pair[0].whole & ~pair[1].whole, pair[1].whole & ~pair[0].whole
    return Comparison(
        names=names,
        kind="extraction",
        n=len(gold),
        differences={
            metric: difference_interval(
                float(here[metric] - there[metric]), spread[metric] - other_spread[metric]
            )
            for metric in here
        },
        wins=int(won.sum()),
        losses=int(lost.sum()),
        ties=int(len(gold) - won.sum() - lost.sum()),
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


Sums = Mapping[str, FloatArray]
"""Sums over documents, of one or many resamples: (..., column) by name."""


def _resample(parts: Mapping[str, np.ndarray], *, resamples: int, seed: int) -> tuple[Sums, Sums]:
    """Columns (document, column) by name, summed over the documents and over resamples of them."""
    columns = np.hstack(list(parts.values()))
    ends = np.cumsum([part.shape[1] for part in parts.values()])[:-1]
    sums = columns.sum(axis=0, dtype=float)
    many = resampled_sums(columns, resamples=resamples, seed=seed)
    return (
        dict(zip(parts, np.split(sums, ends), strict=True)),
        dict(zip(parts, np.split(many, ends, axis=1), strict=True)),
    )


def _summed(parts: Iterable[np.ndarray]) -> FloatArray:
    return np.sum(list(parts), axis=0)


def _figure_columns(coded: CodedFields) -> dict[str, np.ndarray]:
    spans = {} if coded.spans is None else {"spans": coded.spans}
    return {"whole": coded.whole[:, None], "values": coded.values, **spans}


def _figures(sums: Sums, documents: int) -> dict[str, FloatArray]:
    """The metrics (...) of sums (..., column)."""
    spans = {"span_f1": split_label_sums(sums["spans"]).micro_f1} if "spans" in sums else {}
    return {
        "value_f1": split_label_sums(sums["values"]).micro_f1,
        **spans,
        "document_accuracy": sums["whole"][..., 0] / documents,
    }


def _metrics(coded: CodedFields, sums: Sums, many: Sums) -> dict[str, Interval]:
    here, spread = _figures(sums, coded.n), _figures(many, coded.n)
    basis = [
        coded.n if metric == "document_accuracy" else _values_of(sums, metric) for metric in here
    ]
    intervals = percentile_intervals(
        np.array([float(value) for value in here.values()]),
        np.column_stack(list(spread.values())),
        np.array(basis),
    )
    return dict(zip(here, intervals, strict=True))


def _values_of(sums: Sums, metric: str) -> int:
    """How many values or places an F1 rests on: those of gold, or the answers where there are none."""
    counted = split_label_sums(sums["spans" if metric == "span_f1" else "values"])
    return int(counted.gold.sum() or counted.predicted.sum())


def _selective(coded: CodedFields, sums: Sums, many: Sums) -> Selective:
    """Coverage and error over all decisions, one a document and field."""
    decisions = coded.n * len(coded.fields)
    coverage, error = _taken(
        sums["kept"].sum(),
        sums["wrong"].sum(),
        many["kept"].sum(1),
        many["wrong"].sum(1),
        decisions,
    )
    kept = int(sums["kept"].sum())
    return Selective(n=decisions, answered=kept, coverage=coverage, error=error)


def _taken(
    kept: float, wrong: float, many_kept: FloatArray, many_wrong: FloatArray, decisions: int
) -> list[Interval]:
    """Share of the decisions that were answered, and share of the answers that are wrong."""
    return percentile_intervals(
        np.array([kept / decisions, wrong / kept if kept else np.nan]),
        np.column_stack([many_kept / decisions, ratio(many_wrong, many_kept)]),
        np.array([decisions, int(kept)]),
    )


def _of_field(
    coded: CodedFields,
    index: int,
    decided: Decisions,
    sums: Sums,
    many: Sums,
    *,
    resamples: int,
    seed: int,
) -> FieldDecisions:
    thresholds = coverage_thresholds(decided)
    mine, spread = _resample(
        {
            "right": decided.right[:, None],
            "bins": reliability_columns(decided),
            "curve": coverage_columns(decided, thresholds),
        },
        resamples=resamples,
        seed=seed,
    )
    by_chance = chance_ece(decided, resamples=resamples, seed=seed)
    coverage, error = _taken(
        sums["kept"][index],
        sums["wrong"][index],
        many["kept"][:, index],
        many["wrong"][:, index],
        coded.n,
    )
    return FieldDecisions(
        field=coded.fields[index],
        n=coded.n,
        accuracy=percentile_intervals(mine["right"] / coded.n, spread["right"] / coded.n, coded.n)[
            0
        ],
        deferred=int(coded.n - sums["kept"][index]),
        coverage=coverage,
        error=error,
        calibration=calibration(mine["bins"], spread["bins"], by_chance),
        curve=coverage_curve(thresholds, mine["curve"], spread["curve"], coded.n),
    )


def _warnings(coded: CodedFields) -> tuple[str, ...]:
    found: list[str] = []
    if coded.n < FEW_ROWS:
        found.append(
            f"Only {coded.n} documents: below {FEW_ROWS} the intervals are rough, and a "
            "difference must be very large to be seen."
        )
    support = split_label_sums(coded.values.sum(axis=0)).gold
    absent = [coded.fields[index] for index in np.flatnonzero(support == 0)]
    if absent:
        those = "1 field has" if len(absent) == 1 else f"{len(absent)} fields have"
        found.append(
            f"{those} no gold value, so nothing is known about how well: {', '.join(absent)}."
        )
    thin = int(((support > 0) & (support < FEW_ROWS_A_LABEL)).sum())
    if thin:
        those = "1 field has" if thin == 1 else f"{thin} fields have"
        found.append(f"{those} fewer than {FEW_ROWS_A_LABEL} gold values: their scores are rough.")
    unplaced = int((~coded.placed).sum())
    if coded.spans is not None and unplaced:
        found.append(
            f"{unplaced} documents have gold values without a place: span F1 leaves them out."
        )
    if not coded.answered.any():
        found.append("No document was answered.")
    return tuple(found)
