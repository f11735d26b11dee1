from __future__ import annotations

import numpy as np
import pytest
from sklearn.metrics import f1_score

from potstill.data import Example
from potstill.errors import TrainingError
from potstill.train.targets import check_learnable, log_prior, row_scores, target_matrix

LABELS = ("a", "b", "c")


def hard(label: str | tuple[str, ...] | None) -> Example:
    return Example(id="7", input="text", target=label)


def soft(**shares: float) -> Example:
    return Example(id="7", input="text", target="a", soft_target=shares)


def test_a_soft_target_goes_before_the_hard_one() -> None:
    matrix = target_matrix([hard("b"), soft(a=0.25, c=0.75)], LABELS, False)
    np.testing.assert_allclose(matrix, [[0, 1, 0], [0.25, 0, 0.75]])


def test_a_distribution_sums_to_one() -> None:
    matrix = target_matrix([soft(a=0.2, c=0.2)], LABELS, False)
    np.testing.assert_allclose(matrix, [[0.5, 0, 0.5]])


def test_multilabel_probabilities_stand_for_themselves() -> None:
    rows = [hard(("a", "c")), hard(()), soft(a=0.9, b=0.8)]
    matrix = target_matrix(rows, LABELS, True)
    np.testing.assert_allclose(matrix, [[1, 0, 1], [0, 0, 0], [0.9, 0.8, 0]])


@pytest.mark.parametrize(
    ("row", "says"),
    [
        (hard("d"), "'d'"),
        (hard(None), "no target"),
        (hard(("a", "b")), "2 labels"),
        (soft(d=1.0), "'d'"),
        (soft(a=0.0), "no target"),
    ],
)
def test_what_cannot_be_learnt_from_is_named(row: Example, says: str) -> None:
    with pytest.raises(TrainingError, match=says) as raised:
        target_matrix([hard("a"), row], LABELS, False)
    assert "'7'" in str(raised.value)


def test_one_label_alone_teaches_nothing() -> None:
    same = target_matrix([hard("b")] * 4, LABELS, False)
    with pytest.raises(TrainingError, match="'b'"):
        check_learnable(same, LABELS, False)
    with pytest.raises(TrainingError, match="no training rows"):
        check_learnable(same[:0], LABELS, False)
    with pytest.raises(TrainingError, match="the same labels"):
        check_learnable(same, LABELS, True)
    check_learnable(target_matrix([hard("a"), hard("b")], LABELS, False), LABELS, False)


def counts(*rows: int) -> np.ndarray:
    return np.repeat(np.eye(len(rows), dtype=np.float32), rows, axis=0)


def test_prior_is_the_log_of_the_frequencies() -> None:
    prior = log_prior(counts(400, 200, 200), "balanced", False)
    assert prior[0] - prior[1] == pytest.approx(np.log(2), abs=0.01)
    assert prior[1] == prior[2]


def test_only_a_mild_imbalance_is_adjusted_by_itself() -> None:
    assert log_prior(counts(30, 12, 12), "auto", False).any()
    assert not log_prior(counts(90, 12, 12), "auto", False).any()
    assert log_prior(counts(90, 12, 12), "balanced", False).any()
    assert not log_prior(counts(30, 12, 12), "none", False).any()


def test_a_label_that_never_occurs_has_a_finite_prior() -> None:
    assert np.isfinite(log_prior(counts(10, 10, 0), "balanced", False)).all()
    assert np.isfinite(log_prior(counts(10, 10, 0), "balanced", True)).all()


def test_multilabel_prior_is_the_log_odds() -> None:
    targets = np.zeros((1000, 2), dtype=np.float32)
    targets[:200, 0] = 1
    targets[:500, 1] = 1
    prior = log_prior(targets, "balanced", True)
    np.testing.assert_allclose(prior, [np.log(0.2 / 0.8), 0.0], atol=0.02)


def test_scores_of_one_label_are_hits() -> None:
    logits = np.array([[2, 1, 0], [0, 1, 2]], dtype=np.float32)
    np.testing.assert_array_equal(
        row_scores(logits, np.array([[1, 0, 0], [1, 0, 0]], dtype=np.float32), False), [1, 0]
    )
    np.testing.assert_allclose(
        row_scores(logits, np.array([[0.6, 0.4, 0], [0.5, 0.3, 0.2]], dtype=np.float32), False),
        [0.6, 0.2],
    )


def test_multilabel_scores_agree_with_scikit_learn() -> None:
    draw = np.random.default_rng(0)
    logits = draw.normal(size=(200, 3)).astype(np.float32)
    targets = (draw.random((200, 3)) < 0.4).astype(np.float32)
    expected = f1_score(targets, logits > 0, average="samples", zero_division=1.0)
    assert row_scores(logits, targets, True).mean() == pytest.approx(expected)
