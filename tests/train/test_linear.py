from __future__ import annotations

import numpy as np
import pytest
import scipy.sparse
from scipy.special import log_softmax
from sklearn.linear_model import LogisticRegression

from potstill.train import linear
from potstill.train.linear import fit_head, mix


def blobs(rows: int, seed: int, spread: float = 1.0) -> tuple[np.ndarray, np.ndarray]:
    draw = np.random.default_rng(seed)
    labels = np.arange(rows) % 3
    centres = np.array([[2, 0, 0, 0], [0, 2, 0, 0], [0, 0, 2, 0]], dtype=np.float32)
    noise = draw.normal(size=(rows, 4)).astype(np.float32) * spread
    return (centres[labels] + noise).astype(np.float32), labels


def one_hot(labels: np.ndarray, count: int = 3) -> np.ndarray:
    return np.eye(count, dtype=np.float32)[labels]


NO_PRIOR = np.zeros(3, dtype=np.float32)


@pytest.mark.parametrize("sparse", [False, True])
def test_agrees_with_scikit_learn(sparse: bool) -> None:
    features, labels = blobs(120, seed=1)
    given = scipy.sparse.csr_matrix(features) if sparse else features
    head, _ = fit_head(given, one_hot(labels), prior=NO_PRIOR, multilabel=False, seed=0)
    theirs = LogisticRegression(C=head.strength, tol=1e-8, max_iter=2000).fit(features, labels)
    expected = log_softmax(theirs.decision_function(features), axis=1)
    np.testing.assert_allclose(log_softmax(head(given), axis=1), expected, atol=5e-3)


def test_multilabel_agrees_with_one_regression_a_label() -> None:
    features, labels = blobs(120, seed=2)
    targets = one_hot(labels)
    targets[::7, 0] = 1.0
    head, _ = fit_head(features, targets, prior=NO_PRIOR, multilabel=True, seed=0)
    for column in range(3):
        theirs = LogisticRegression(C=head.strength, tol=1e-8, max_iter=2000)
        theirs.fit(features, targets[:, column])
        expected = theirs.decision_function(features)
        np.testing.assert_allclose(head(features)[:, column], expected, atol=1e-2)


def test_soft_targets_equal_weighted_repetition() -> None:
    features, labels = blobs(90, seed=3)
    soft = 0.7 * one_hot(labels) + 0.3 * one_hot((labels + 1) % 3)
    head, _ = fit_head(features, soft, prior=NO_PRIOR, multilabel=False, seed=0)
    theirs = LogisticRegression(C=head.strength, tol=1e-8, max_iter=2000).fit(
        np.vstack([features, features]),
        np.concatenate([labels, (labels + 1) % 3]),
        sample_weight=np.repeat([0.7, 0.3], len(labels)),
    )
    expected = log_softmax(theirs.decision_function(features), axis=1)
    np.testing.assert_allclose(log_softmax(head(features), axis=1), expected, atol=5e-3)


def test_of_penalties_that_cannot_be_told_apart_the_strongest_is_taken() -> None:
    features, labels = blobs(150, seed=4, spread=0.1)  # so clear that every penalty will do
    head, _ = fit_head(features, one_hot(labels), prior=NO_PRIOR, multilabel=False, seed=0)
    assert head.strength == min(linear._STRENGTHS)


def test_the_prior_shifts_the_bias_and_nothing_else() -> None:
    # The bias is free, so adding the prior while fitting equals subtracting it afterwards.
    features, labels = blobs(90, seed=6)
    prior = np.array([0.5, -0.2, 0.0], dtype=np.float32)
    plain = linear._minimise(features, one_hot(labels), NO_PRIOR, 1.0, False, None)
    moved = linear._minimise(features, one_hot(labels), prior, 1.0, False, None)
    np.testing.assert_allclose(moved[0], plain[0], atol=5e-3)
    shift = moved[1] - plain[1] + prior
    np.testing.assert_allclose(shift - shift.mean(), 0.0, atol=5e-3)


def test_held_out_rows_were_not_seen() -> None:
    # Labels that are pure chance: heads that had seen the rows would look better than chance.
    draw = np.random.default_rng(8)
    features = draw.normal(size=(200, 60)).astype(np.float32)
    labels = draw.integers(0, 3, 200)
    _, said = fit_head(features, one_hot(labels), prior=NO_PRIOR, multilabel=False, seed=0)
    assert sorted(said.rows.tolist()) == list(range(200))
    assert (said.logits.argmax(axis=1) == labels[said.rows]).mean() < 0.45


def test_few_folds_are_enough_for_many_rows() -> None:
    assert len(linear._folds(one_hot(np.arange(750) % 3), seed=0)) == 5
    assert len(linear._folds(one_hot(np.arange(10_000) % 3), seed=0)) == 1
    seen, held_out = linear._folds(one_hot(np.arange(10_000) % 3), seed=0)[0]
    assert len(held_out) == 2000
    assert not set(seen.tolist()) & set(held_out.tolist())


def test_mix_finds_the_head_that_knows() -> None:
    draw = np.random.default_rng(9)
    labels = draw.integers(0, 3, 300)
    knows = one_hot(labels) * 2 + draw.normal(size=(300, 3)).astype(np.float32)
    guesses = draw.normal(size=(300, 3)).astype(np.float32)
    good, bad = mix([knows, guesses], one_hot(labels), prior=NO_PRIOR, multilabel=False)
    assert good > 1.0
    assert bad < 0.3


def test_mix_of_one_head_is_its_temperature() -> None:
    draw = np.random.default_rng(10)
    truth = draw.normal(size=(4000, 3)) * 2
    shares = np.exp(log_softmax(truth, axis=1))
    labels = np.array([draw.choice(3, p=row) for row in shares])
    (factor,) = mix(
        [(truth * 4).astype(np.float32)], one_hot(labels), prior=NO_PRIOR, multilabel=False
    )
    assert factor == pytest.approx(0.25, rel=0.1)


@pytest.mark.parametrize("singles", [0, 10])
def test_two_rows_a_label_are_enough_to_learn_from(singles: int) -> None:
    # Held out by chance, a row would leave its own label the rarest of those seen.
    draw = np.random.default_rng(3)
    centres = draw.normal(size=(40, 24)).astype(np.float32)
    labels = np.concatenate([np.arange(40), np.arange(40 - singles)])
    features = centres[labels] + 0.3 * draw.normal(size=(len(labels), 24)).astype(np.float32)
    prior = np.zeros(40, dtype=np.float32)
    targets = one_hot(labels, 40)
    head, held_out = fit_head(features, targets, prior=prior, multilabel=False, seed=0)
    right = held_out.logits.argmax(axis=1) == labels[held_out.rows]
    assert right.mean() > 0.8
    assert sorted(held_out.rows) == [
        n for n in range(len(labels)) if np.sum(labels == labels[n]) > 1
    ]
    [factor] = mix([held_out.logits], targets[held_out.rows], prior=prior, multilabel=False)
    assert factor > 0.1
    new = centres + 0.3 * draw.normal(size=centres.shape).astype(np.float32)
    assert (head(new).argmax(axis=1) == np.arange(40)).mean() > 0.8
