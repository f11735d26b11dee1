"""Metrics against scikit-learn and hand values."""

from __future__ import annotations

import numpy as np
import pytest
from sklearn.metrics import (
    accuracy_score,
    f1_score,
    precision_recall_fscore_support,
)

from potstill.data import Example, Prediction
from potstill.errors import DataError
from potstill.evaluate import evaluate, fidelity
from potstill.evaluate.metrics import Evaluation

LABELS = ("a", "b", "c", "d")


def rows(*targets):
    return [
        Example(id=str(place), input="x", target=target) for place, target in enumerate(targets)
    ]


def answers(*targets):
    return [Prediction(target) for target in targets]


def test_classification_agrees_with_scikit_learn():
    rng = np.random.default_rng(5)
    gold = rng.choice(LABELS[:3], 300)
    predicted = np.where(rng.random(300) < 0.6, gold, rng.choice(LABELS[:3], 300))
    unanswered = rng.random(300) < 0.1
    told = [
        "none" if missing else str(label)
        for label, missing in zip(predicted, unanswered, strict=True)
    ]
    found = evaluate(
        [Prediction(None if label == "none" else label) for label in told],
        rows(*gold.tolist()),
        labels=LABELS,
        resamples=100,
    )
    present = list(LABELS[:3])
    assert found.unanswered == unanswered.sum()
    assert found.metrics["accuracy"].value == pytest.approx(accuracy_score(gold, told))
    for average in ("macro", "micro"):
        expected = f1_score(gold, told, labels=present, average=average, zero_division=0)
        assert found.metrics[f"{average}_f1"].value == pytest.approx(expected)
    by_label = precision_recall_fscore_support(gold, told, labels=list(LABELS), zero_division=0)
    for index, score in enumerate(found.per_label):
        ours = (score.precision.value, score.recall.value, score.f1.value, score.support)
        assert ours == pytest.approx([column[index] for column in by_label])
    assert sum(pair.n for pair in found.confusion) == 300


def test_multilabel_agrees_with_scikit_learn():
    rng = np.random.default_rng(6)
    gold = rng.random((250, 4)) < 0.3
    predicted = gold ^ (rng.random((250, 4)) < 0.15)

    def targets(matrix):
        return [tuple(np.array(LABELS)[row].tolist()) for row in matrix]

    found = evaluate(
        answers(*targets(predicted)),
        rows(*targets(gold)),
        labels=LABELS,
        multilabel=True,
        resamples=100,
    )
    assert found.primary == "micro_f1"
    assert found.metrics["accuracy"].value == pytest.approx(accuracy_score(gold, predicted))
    for average in ("macro", "micro"):
        expected = f1_score(gold, predicted, average=average, zero_division=0)
        assert found.metrics[f"{average}_f1"].value == pytest.approx(expected)


def test_a_label_in_neither_gold_nor_answers_is_not_averaged():
    found = evaluate(answers("a", "a", "b"), rows("a", "b", "b"), labels=LABELS)
    # By hand: F1 of a is 2/3, of b is 2/3; c and d do not occur.
    assert found.metrics["macro_f1"].value == pytest.approx(2 / 3)
    absent = found.per_label[2]
    assert (absent.support, absent.f1.low, absent.f1.high) == (0, 0.0, 1.0)
    assert any("2 labels have no gold row" in warning for warning in found.warnings)


def test_no_answers_at_all():
    found = evaluate([Prediction(None)] * 40, rows(*["a", "b"] * 20), labels=LABELS)
    assert found.metrics["accuracy"].value == 0.0
    assert 0.05 < found.metrics["accuracy"].high < 0.1  # exact: 1 - 0.025 ** (1 / 40) = 0.088
    assert found.unanswered == 40
    assert found.calibration is None
    assert found.coverage == ()
    assert "No row was answered." in found.warnings


def test_an_answer_outside_the_labels_is_no_answer():
    found = evaluate(answers("z", "a"), rows("a", "a"), labels=LABELS)
    assert found.unanswered == 1
    assert found.metrics["accuracy"].value == 0.5


def test_all_right_is_not_certainty():
    found = evaluate(answers(*["a"] * 20), rows(*["a"] * 20), labels=LABELS)
    for name in ("accuracy", "macro_f1", "micro_f1"):
        # Clopper and Pearson: 0.025 ** (1 / 20).
        assert found.metrics[name].low == pytest.approx(0.8316, abs=1e-4)
        assert found.metrics[name].high == 1.0
    assert any(warning.startswith("Only 20 rows") for warning in found.warnings)


def test_multilabel_confusion_pairs_what_is_missing_with_what_was_added():
    found = evaluate(
        answers(("a", "c"), ("a",), ("a", "b"), ()),
        rows(("a", "b"), ("a", "b"), ("a",), ()),
        labels=LABELS,
        multilabel=True,
    )
    pairs = {(pair.gold, pair.predicted): pair.n for pair in found.confusion}
    assert pairs == {("b", "c"): 1, ("b", None): 1, (None, "b"): 1}
    assert found.metrics["accuracy"].value == 0.25


def test_no_answer_is_not_the_answer_no_label():
    found = evaluate(answers(None, ()), rows((), ()), labels=LABELS, multilabel=True)
    assert (found.metrics["accuracy"].value, found.unanswered) == (0.5, 1)


@pytest.mark.parametrize(
    ("predictions", "gold", "message"),
    [
        ([], [], "no gold row"),
        (answers("a"), rows("a", "b"), "1 predictions cannot be set beside 2 rows"),
        (answers("a"), rows("z"), "'z', which is not among the 4 labels"),
        (answers("a"), rows(None), "has no gold label"),
        (answers("a"), rows(("a",)), "one label, not several"),
        ([Prediction("a", 1.5)], rows("a"), "between 0 and 1"),
    ],
)
def test_what_cannot_be_evaluated_is_refused(predictions, gold, message):
    with pytest.raises(DataError, match=message):
        evaluate(predictions, gold, labels=LABELS)


def test_the_same_seed_gives_the_same_report_and_json_comes_back(world):
    made = world(LABELS, 120)
    predictions = made.answers(0.7)
    first, second = (
        evaluate(predictions, made.gold, labels=LABELS, seed=3, resamples=200) for _ in range(2)
    )
    assert first == second
    assert Evaluation.from_json(first.to_json()) == first


def test_fidelity_leaves_out_what_the_teacher_did_not_answer():
    student = answers("a", "b", None, "a")
    teacher = answers("a", "a", "a", None)
    share = fidelity(student, teacher)
    assert share.value == pytest.approx(1 / 3)
    assert share.low <= share.value <= share.high
    assert fidelity(answers(("a", "b")), answers(("b", "a"))).value == 1.0
    with pytest.raises(DataError, match="answered none"):
        fidelity(student, answers(None, None, None, None))
