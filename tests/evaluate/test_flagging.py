"""Average precision against scikit-learn, and what an evaluation says of a flag."""

from __future__ import annotations

import numpy as np
import pytest
from sklearn.metrics import average_precision_score

from potstill.data import Example, Prediction
from potstill.evaluate import Comparison, Evaluation, compare, evaluate
from potstill.evaluate.flagging import IdleCosts
from potstill.spec.flagging import Costs, FlagSpec

LABELS = ("other", "fraud")
FRAUD = FlagSpec(label="fraud", costs=Costs(miss=10.0, false_alarm=2.0))


def _rows(wanted: np.ndarray) -> list[Example]:
    return [
        Example(id=str(at), input="x", target=LABELS[int(one)]) for at, one in enumerate(wanted)
    ]


def _answers(scores: np.ndarray, threshold: float) -> list[Prediction]:
    return [
        Prediction(LABELS[int(p >= threshold)], float(p), {"other": 1.0 - p, "fraud": float(p)})
        for p in scores
    ]


@pytest.mark.parametrize("decimals", [1, 6])
def test_average_precision_is_that_of_scikit_learn(decimals: int) -> None:
    rng = np.random.default_rng(decimals)
    wanted = rng.random(500) < 0.06
    scores = np.round(np.clip(rng.normal(0.3, 0.15, 500) + 0.2 * wanted, 0.0, 1.0), decimals)
    found = evaluate(_answers(scores, 0.5), _rows(wanted), labels=LABELS, flag=FRAUD)
    figure = found.metrics["average_precision"]
    assert figure.value == pytest.approx(average_precision_score(wanted, scores))
    assert figure.low < figure.value < figure.high
    assert found.primary == "average_precision" and found.score == figure


def test_its_interval_is_that_of_resampled_rows() -> None:
    rng = np.random.default_rng(5)
    wanted = rng.random(300) < 0.15
    scores = np.clip(rng.normal(0.3, 0.2, 300) + 0.2 * wanted, 0.0, 1.0)
    found = evaluate(_answers(scores, 0.5), _rows(wanted), labels=LABELS, flag=FRAUD)
    figure = found.metrics["average_precision"]
    by_hand = [
        average_precision_score(wanted[rows], scores[rows])
        for rows in rng.integers(0, 300, size=(1000, 300))
    ]
    low, high = np.quantile(by_hand, (0.025, 0.975))
    assert figure.low == pytest.approx(low, abs=0.03)
    assert figure.high == pytest.approx(high, abs=0.03)


def test_hard_answers_rank_what_they_flag_first() -> None:
    wanted = np.array([1, 1, 0, 0, 0, 0, 0, 0], dtype=bool)
    flagged = np.array([1, 0, 1, 0, 0, 0, 0, 0], dtype=bool)
    answers = [Prediction(LABELS[int(one)]) for one in flagged]
    found = evaluate(answers, _rows(wanted), labels=LABELS, flag=FRAUD)
    by_hand = 0.5 * (1 / 2) + 0.5 * (2 / 8)
    assert found.metrics["average_precision"].value == pytest.approx(by_hand)


def test_without_a_row_of_the_label_nothing_is_known() -> None:
    found = evaluate(
        _answers(np.array([0.2, 0.9]), 0.5), _rows(np.zeros(2, bool)), labels=LABELS, flag=FRAUD
    )
    figure = found.metrics["average_precision"]
    assert (figure.value, figure.low, figure.high) == (0.0, 0.0, 1.0)


def test_thresholds_stand_beside_the_labels_and_survive_json() -> None:
    wanted = np.array([1, 0, 0, 1], dtype=bool)
    found = evaluate(
        _answers(np.array([0.9, 0.1, 0.3, 0.2]), 0.15),
        _rows(wanted),
        labels=LABELS,
        flag=FRAUD,
        thresholds={"fraud": 0.15},
    )
    other, fraud = found.per_label
    assert other.threshold is None and fraud.threshold == 0.15
    assert (fraud.precision.value, fraud.recall.value) == (pytest.approx(2 / 3), 1.0)
    assert Evaluation.from_json(found.to_json()) == found


def test_two_rankings_are_compared_by_average_precision_on_the_same_rows() -> None:
    rng = np.random.default_rng(1)
    wanted = rng.random(600) < 0.08
    noise = rng.normal(0.3, 0.1, 600)
    good, bad = (np.clip(noise + gain * wanted, 0.0, 1.0) for gain in (0.3, 0.1))
    gold = _rows(wanted)
    found = compare(_answers(good, 0.9), _answers(bad, 0.9), gold, labels=LABELS, flag=FRAUD)
    apart = average_precision_score(wanted, good) - average_precision_score(wanted, bad)
    assert found.primary == "average_precision"
    assert found.difference.value == pytest.approx(apart)
    assert found.difference.low < apart < found.difference.high
    # Both flag nothing at this threshold, so McNemar has nothing to test; the ranking differs.
    assert found.p_value == 1.0 and found.outcome == "better"
    same = compare(_answers(good, 0.5), _answers(good, 0.5), gold, labels=LABELS, flag=FRAUD)
    assert same.difference.low == same.difference.high == 0.0
    assert same.outcome == "within noise"
    assert Comparison.from_json(found.to_json()) == found


def test_the_flag_is_judged_at_its_threshold_by_hand() -> None:
    wanted = np.array([1, 1, 1, 0, 0, 0, 0, 0], dtype=bool)
    flagged = np.array([1, 1, 0, 1, 0, 0, 0, 0], dtype=bool)
    answers = [Prediction(LABELS[int(one)]) for one in flagged]
    found = evaluate(answers, _rows(wanted), labels=LABELS, flag=FRAUD)
    assert found.metrics["flag_precision"].value == pytest.approx(2 / 3)
    assert found.metrics["flag_recall"].value == pytest.approx(2 / 3)
    spent = found.metrics["flag_cost"]
    assert spent.value == pytest.approx(1000 * (10.0 + 2.0) / 8)
    assert 0.0 <= spent.low < spent.value < spent.high
    assert found.idle == IdleCosts(nothing=3750.0, everything=1250.0)
    assert next(iter(found.metrics)) == "average_precision"
    assert Evaluation.from_json(found.to_json()) == found
    nothing = [Prediction("other")] * 8
    apart = compare(answers, nothing, _rows(wanted), labels=LABELS, flag=FRAUD)
    assert apart.differences["flag_cost"].value == pytest.approx(1500.0 - 3750.0)
    assert apart.differences["flag_recall"].value == pytest.approx(2 / 3)


def test_without_costs_none_is_told() -> None:
    flag = FlagSpec(label="fraud", recall=0.9)
    answers = [Prediction("other"), Prediction("fraud")]
    found = evaluate(answers, _rows(np.array([False, True])), labels=LABELS, flag=flag)
    assert "flag_cost" not in found.metrics and found.idle is None
