"""Expected calibration error and coverage against hand values."""

from __future__ import annotations

import numpy as np
import pytest

from potstill.data import Example, Prediction
from potstill.evaluate import evaluate

LABELS = ("a", "b")


def judged(confidences, right, **options):
    gold = [Example(id=str(row), input="", target="a") for row in range(len(right))]
    predictions = [
        Prediction("a" if ok else "b", confidence)
        for confidence, ok in zip(confidences, right, strict=True)
    ]
    return evaluate(predictions, gold, labels=LABELS, resamples=300, **options)


def test_ece_by_hand():
    # Bin (0.9, 1.0]: confidence 0.95, 1 of 2 right. Bin (0.5, 0.6]: confidence 0.6, 2 of 2.
    found = judged([0.95, 0.95, 0.6, 0.6], [True, False, True, True]).calibration
    assert found is not None
    assert found.ece.value == pytest.approx((2 * 0.45 + 2 * 0.4) / 4)
    assert [(bin.low, bin.n, bin.accuracy.value) for bin in found.bins] == [
        (0.5, 2, 1.0),
        (0.9, 2, 0.5),
    ]
    assert found.confidence == pytest.approx(0.775)


def test_honest_confidences_are_not_accused_and_dishonest_ones_are():
    rng = np.random.default_rng(1)
    accused = 0
    for trial in range(60):
        confidences = rng.uniform(0.5, 1.0, 200)
        honest = judged(confidences, rng.random(200) < confidences, seed=trial).calibration
        accused += honest.ece.value > honest.ece_by_chance
        assert (honest.ece.low == 0.0) or honest.ece.value > honest.ece_by_chance
    assert accused <= 5  # 1.5 expected at 2.5%
    boasting = judged(np.full(200, 0.95), rng.random(200) < 0.7).calibration
    assert boasting.ece.value > boasting.ece_by_chance
    assert boasting.ece.low > 0.1


def test_coverage_by_hand():
    found = judged([0.9, 0.8, 0.7, 0.6], [True, True, False, True])
    assert [(p.threshold, p.n, p.coverage) for p in found.coverage] == [
        (0.9, 1, 0.25),
        (0.8, 2, 0.5),
        (0.7, 3, 0.75),
        (0.6, 4, 1.0),
    ]
    assert [p.accuracy.value for p in found.coverage] == pytest.approx([1.0, 1.0, 2 / 3, 0.75])


def test_equal_confidences_are_taken_together():
    found = judged([0.8, 0.8, 0.8], [True, False, True])
    assert [(p.n, p.accuracy.value) for p in found.coverage] == [(3, pytest.approx(2 / 3))]


def test_rows_without_confidence_or_answer_are_never_covered():
    gold = [Example(id=str(row), input="", target="a") for row in range(4)]
    predictions = [
        Prediction("a", 0.9),
        Prediction("a"),
        Prediction(None, 0.99),
        Prediction("b", 0.4),
    ]
    found = evaluate(predictions, gold, labels=LABELS, resamples=100)
    assert found.calibration is not None
    assert found.calibration.n == 2
    assert found.coverage[-1].coverage == 0.5
