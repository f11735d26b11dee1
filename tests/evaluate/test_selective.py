"""What is deferred, against counts by hand and scikit-learn."""

from __future__ import annotations

import numpy as np
import pytest
from sklearn.metrics import roc_auc_score

from potstill.data import Example, Prediction, Source
from potstill.evaluate import auroc, evaluate
from potstill.evaluate.metrics import Evaluation

PERSON = Source(kind="person", name="gold", contributed=("target",), stage="read")


def row(at, target):
    return Example(id=str(at), input=f"text {at}", target=target, sources=(PERSON,))


def test_a_deferred_row_is_neither_right_nor_wrong():
    gold = [row(at, "a" if at < 50 else "b") for at in range(100)]
    # 40 right answers, 10 wrong ones, 50 deferred (half of those guesses are right).
    predictions = [
        *[Prediction("a", 0.9)] * 40,
        *[Prediction("b", 0.8)] * 10,
        *[Prediction("b", 0.4, deferred="unsure")] * 25,
        *[Prediction("a", 0.4, deferred="unsure")] * 25,
    ]
    judged = evaluate(predictions, gold, labels=("a", "b"))
    found = judged.selective
    assert found is not None
    assert (found.n, found.answered) == (100, 50)
    assert found.coverage.value == 0.5
    assert found.error.value == pytest.approx(0.2)
    assert found.error.low < 0.2 < found.error.high
    assert found.auroc is None
    assert found.outside_deferred is None
    # The figures beside it take the guess for an answer.
    assert judged.metrics["accuracy"].value == pytest.approx(0.65)
    assert Evaluation.from_json(judged.to_json()) == judged


def test_an_answer_to_a_row_that_fits_no_label_is_an_error():
    gold = [row(at, "a") for at in range(60)]
    inside = [Prediction("a", 0.9, out_of_scope=0.1)] * 60
    outside = [
        *[Prediction("a", 0.9, out_of_scope=0.05)] * 5,
        *[Prediction("a", 0.2, deferred="out_of_scope", out_of_scope=0.9)] * 15,
    ]
    found = evaluate(inside, gold, labels=("a", "b"), outside=outside).selective
    assert found is not None
    assert found.outside == 20
    assert found.error.value == pytest.approx(5 / 65)
    assert found.outside_deferred is not None
    assert found.outside_deferred.value == 0.75
    assert found.auroc is not None
    assert found.auroc.value == pytest.approx(0.75)


def test_nothing_is_said_of_a_predictor_that_answers_everything():
    gold = [row(0, "a"), row(1, "b")]
    assert evaluate([Prediction("a", 0.9)] * 2, gold, labels=("a", "b")).selective is None


def test_the_area_is_that_of_scikit_learn_and_its_interval_holds_it():
    draws = np.random.default_rng(3)
    inside_interval = 0
    # Two unit normals one standard deviation apart: the area is Phi(1 / sqrt 2).
    truth = 0.76024993890652
    for _ in range(300):
        strangers, others = draws.normal(1.0, 1.0, 60).round(1), draws.normal(0.0, 1.0, 80).round(1)
        found = auroc(strangers, others)
        expected = roc_auc_score([*np.ones(60), *np.zeros(80)], np.concatenate([strangers, others]))
        assert found.value == pytest.approx(expected)
        inside_interval += found.low <= truth <= found.high
    assert 270 <= inside_interval <= 297
