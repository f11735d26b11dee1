from __future__ import annotations

import numpy as np
import pytest

from potstill.teacher.committee import Votes, estimate


def draw(truth, accuracies, n_labels, seed, missing=0.0):
    """Votes of independent teachers, who err evenly."""
    rng = np.random.default_rng(seed)
    votes = []
    for teacher, accuracy in enumerate(accuracies):
        for row, true in enumerate(truth):
            if rng.random() < missing:
                continue
            wrong = (true + rng.integers(1, n_labels)) % n_labels
            votes.append((row, teacher, true if rng.random() < accuracy else int(wrong), 1.0))
    return Votes.of(votes, (len(truth), len(accuracies), n_labels))


@pytest.fixture
def truth():
    return np.random.default_rng(0).integers(0, 4, 600)


def test_accuracies_of_independent_teachers_are_found(truth):
    accuracies = [0.9, 0.75, 0.6, 0.8, 0.7]
    committee = estimate(draw(truth, accuracies, 4, seed=1, missing=0.2))
    assert committee.accuracy == pytest.approx(accuracies, abs=0.06)
    assert committee.weights.sum() == pytest.approx(1.0)
    assert np.argmax(committee.weights) == 0
    assert (committee.posterior.argmax(axis=1) == truth).mean() > 0.9


def test_one_e_step_and_m_step_agree_with_hand_values():
    # Both teachers agree on every row, so that the posterior is (all but) certain and the
    # estimate follows from the smoothing alone: 4 rows right, one pseudo-answer each way.
    votes = Votes.of([(r, t, r % 2, 1.0) for r in range(4) for t in range(2)], (4, 2, 2))
    committee = estimate(votes)
    assert committee.accuracy == pytest.approx([5 / 6, 5 / 6], abs=0.01)
    # Each row of the matrix: 2 counted answers, and 2 pseudo-answers spread 5/6 to 1/6.
    assert committee.confusion[0, 0] == pytest.approx([11 / 12, 1 / 12], abs=0.01)
    assert committee.prior == pytest.approx([0.5, 0.5])
    assert committee.soft_labels(votes)[0] == pytest.approx([11 / 12, 1 / 12], abs=0.01)


def test_soft_labels_are_distributions_never_surer_than_the_surest_teacher(truth):
    votes = draw(truth, [0.9, 0.7, 0.6], 4, seed=2)
    committee = estimate(votes)
    soft = committee.soft_labels(votes)
    assert soft.sum(axis=1) == pytest.approx(np.ones(len(truth)))
    belief = committee.prior[:, None] * committee.confusion
    surest = (belief / belief.sum(axis=1, keepdims=True)).max()
    assert soft.max() <= surest + 1e-12


def test_soft_labels_fit_better_than_the_posterior_where_teachers_err_alike(truth):
    rng = np.random.default_rng(3)
    # On a quarter of the rows the text misleads every teacher that does not guess luckily.
    misled = rng.random(len(truth)) < 0.25
    seen = np.where(misled, (truth + 1) % 4, truth)
    votes = draw(seen, [0.9] * 8, 4, seed=3)
    committee = estimate(votes)
    rows = np.arange(len(truth))

    def log_loss(soft):
        return -np.log(soft[rows, truth]).mean()

    pooled = committee.soft_labels(votes)
    assert committee.posterior.max(axis=1).mean() > 0.99
    assert log_loss(pooled) < 0.7 * log_loss(np.maximum(committee.posterior, 1e-6))
    assert (pooled.argmax(axis=1) == truth).mean() == pytest.approx(0.75, abs=0.03)


def test_a_teacher_that_guesses_is_all_but_ignored(truth):
    good = draw(truth, [0.85, 0.85, 0.85, 0.25], 4, seed=4)
    committee = estimate(good)
    assert committee.weights[3] < 0.1 * committee.weights[0]
    majority = np.zeros((len(truth), 4))
    np.add.at(majority, (good.rows, good.labels), 1.0)
    pooled = committee.soft_labels(good).argmax(axis=1)
    assert (pooled == truth).mean() > (majority.argmax(axis=1) == truth).mean()


def test_a_habit_of_confusing_two_labels_is_learnt():
    # Teacher 2 says 1 whenever the truth is 0: its word for 1 is worth little.
    truth = np.tile([0, 1, 2], 100)
    votes = draw(truth, [0.9, 0.9], 3, seed=5)
    rows = [*zip(votes.rows, votes.teachers, votes.labels, votes.shares, strict=True)]
    rows += [(row, 2, 1 if true == 0 else true, 1.0) for row, true in enumerate(truth)]
    committee = estimate(Votes.of(rows, (300, 3, 3)))
    assert committee.confusion[2, 0, 1] > 0.8
    only_third = Votes.of([(0, 2, 1, 1.0), (1, 2, 2, 1.0)], (2, 3, 3))
    soft = committee.soft_labels(only_third)
    assert soft[0, 1] < 0.6 < 0.9 < soft[1, 2]


def test_a_row_without_votes_gets_the_prior(truth):
    votes = draw(truth, [0.9, 0.8], 4, seed=6)
    committee = estimate(votes)
    unseen = Votes.of([], (1, 2, 4))
    assert committee.soft_labels(unseen)[0] == pytest.approx(committee.prior)


def test_teachers_who_always_disagree_still_give_a_distribution():
    votes = Votes.of([(r, t, t, 1.0) for r in range(10) for t in range(2)], (10, 2, 2))
    soft = estimate(votes).soft_labels(votes)
    assert np.isfinite(soft).all()
    assert soft.sum(axis=1) == pytest.approx(np.ones(10))
