from __future__ import annotations

import numpy as np
import pytest

from potstill.generate.fusion import Evidence, Fusion

LABELS = ("a", "b", "c")


def draw(rows, weights, seed=0):
    """Rows whose gold follows the model with given weights (belief, nearness, answer)."""
    rng = np.random.default_rng(seed)
    scores = rng.normal(size=(rows, 3))
    said = [dict(zip(LABELS, rng.dirichlet(np.ones(3)), strict=True)) for _ in range(rows)]
    rule = Fusion("r", LABELS, *weights)
    gold = [
        str(rng.choice(LABELS, p=list(rule.join(one, score).values())))
        for one, score in zip(said, scores, strict=True)
    ]
    return Evidence.of(LABELS, said, scores, gold)


def test_the_weights_that_made_the_gold_are_found():
    found = Fusion.fit("r", LABELS, draw(4_000, (0.8, 1.5, 0.5)))
    assert (found.belief, found.nearness, found.answer) == pytest.approx((0.8, 1.5, 0.5), abs=0.2)


def test_the_fit_is_the_maximum_of_the_ridged_likelihood():
    from scipy.optimize import minimize

    evidence = draw(60, (0.5, 2.0, 1.0))
    features = evidence.features - evidence.features.mean(axis=1, keepdims=True)
    spread = np.sqrt((features**2).mean(axis=(0, 1)))

    def loss(weights):
        scores = features / spread @ weights
        log_sum = np.log(np.exp(scores).sum(axis=1))
        return (log_sum - scores[np.arange(60), evidence.gold]).sum() + 0.025 * weights @ weights

    expected = minimize(loss, np.zeros(3)).x / spread
    found = Fusion.fit("r", LABELS, evidence)
    assert [found.belief, found.nearness, found.answer] == pytest.approx(expected, abs=1e-4)


def test_two_that_err_differently_are_better_together():
    rng = np.random.default_rng(1)
    truth = rng.integers(0, 3, 400)
    teacher = np.where(rng.random(400) < 0.6, truth, rng.integers(0, 3, 400))
    said = [{LABELS[place]: 1.0} for place in teacher]
    scores = 1.5 * np.eye(3)[truth] + rng.normal(size=(400, 3))
    evidence = Evidence.of(LABELS, said, scores, [LABELS[place] for place in truth])
    joint = evidence.held_out()
    alone = evidence.nearness_alone().held_out()
    assert joint.sum(axis=1) == pytest.approx(1.0)
    assert evidence.loss(joint).mean() < evidence.loss(alone).mean() - 0.1
    assert evidence.loss(joint).mean() < evidence.loss(evidence.teacher()).mean() - 0.1
    assert (joint.argmax(axis=1) == truth).mean() > (teacher == truth).mean() + 0.02


def test_a_retrieval_that_knows_nothing_changes_no_answer():
    rng = np.random.default_rng(2)
    truth = rng.integers(0, 3, 300)
    teacher = np.where(rng.random(300) < 0.9, truth, (truth + 1) % 3)
    said = [{LABELS[place]: 1.0} for place in teacher]
    scores = rng.normal(size=(300, 3))
    evidence = Evidence.of(LABELS, said, scores, [LABELS[place] for place in truth])
    rule = Fusion.fit("r", LABELS, evidence)
    for one, score, place in zip(said, scores, teacher, strict=True):
        joint = rule.join(one, score)
        assert max(joint, key=joint.__getitem__) == LABELS[place]
        assert max(joint.values()) == pytest.approx(0.9, abs=0.06)


def test_rows_without_an_answer_rest_on_retrieval_alone():
    rule = Fusion("r", LABELS, 1.0, 2.0, 3.0)
    joint = rule.join({}, np.array([0.0, 1.0, 0.0]))
    expected = np.exp([0, 2, 0]) / np.exp([0, 2, 0]).sum()
    assert list(joint.values()) == pytest.approx(expected)


def test_evidence_that_separates_perfectly_stays_finite():
    scores = np.eye(3)[[0, 1, 2] * 10]
    evidence = Evidence.of(LABELS, [{}] * 30, scores, list(LABELS) * 10)
    rule = Fusion.fit("r", LABELS, evidence)
    assert 1.0 < rule.nearness < 50.0 and rule.belief == rule.answer == 0.0
