"""The bootstrap against scipy, and by how often it holds the truth."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import stats

from potstill.data import Example, Prediction
from potstill.errors import DataError
from potstill.evaluate import evaluate
from potstill.evaluate.intervals import (
    basic_interval,
    exact_bounds,
    percentile_intervals,
    resampled_sums,
    share_interval,
)


def test_sums_are_those_of_resampled_rows():
    columns = np.ones((50, 1))
    assert (resampled_sums(columns, resamples=20, seed=0) == 50).all()
    rng = np.random.default_rng(0)
    values = rng.random((400, 1))
    sums = resampled_sums(values, resamples=4000, seed=1)[:, 0]
    assert sums.mean() == pytest.approx(values.sum(), rel=0.005)
    assert sums.std() == pytest.approx(values.std() * np.sqrt(400), rel=0.05)


def test_memory_is_taken_in_pieces_that_change_nothing_but_the_draws(monkeypatch):
    values = np.random.default_rng(2).random((100, 3))
    whole = resampled_sums(values, resamples=3000, seed=4)
    monkeypatch.setattr("potstill.evaluate.intervals._DRAWS_AT_A_TIME", 1000)
    pieces = resampled_sums(values, resamples=3000, seed=4)
    assert whole.shape == pieces.shape
    assert whole.std(axis=0) == pytest.approx(pieces.std(axis=0), rel=0.08)


@pytest.mark.parametrize("method", ["percentile", "basic"])
def test_intervals_agree_with_scipy(method):
    sample = (np.random.default_rng(3).random(200) < 0.73).astype(float)
    expected = stats.bootstrap(
        (sample,), np.mean, n_resamples=4000, method=method, rng=np.random.default_rng(0)
    ).confidence_interval
    shares = resampled_sums(sample[:, None], resamples=4000, seed=0) / 200
    if method == "percentile":
        ours = percentile_intervals(np.array([sample.mean()]), shares, 200)[0]
    else:
        ours = basic_interval(float(sample.mean()), shares[:, 0], 200)
    assert (ours.low, ours.high) == pytest.approx((expected.low, expected.high), abs=0.011)


@pytest.mark.parametrize("rows", [1, 7, 30, 500])
def test_exact_bounds_agree_with_scipy(rows):
    for successes, all_right in ((rows, True), (0, False)):
        expected = stats.binomtest(successes, rows).proportion_ci(method="exact")
        assert exact_bounds(all_right, rows) == pytest.approx((expected.low, expected.high))


def test_shares_hold_the_truth_about_as_often_as_they_say():
    rng = np.random.default_rng(8)
    held = 0
    for trial in range(300):
        share = share_interval(rng.random(150) < 0.8, resamples=400, seed=trial)
        held += share.low <= 0.8 <= share.high
    assert 0.90 <= held / 300 <= 0.985


def test_macro_f1_of_many_labels_holds_the_truth():
    # A percentile interval would hold it in 4 of 10 samples of so few rows a label.
    rng = np.random.default_rng(9)
    labels = [f"l{index}" for index in range(40)]
    held = 0
    for trial in range(80):
        gold = rng.integers(0, 40, 200)
        right = rng.random(200) < 0.75
        got = np.where(right, gold, (gold + rng.integers(1, 40, 200)) % 40)
        found = evaluate(
            [Prediction(labels[index]) for index in got],
            [Example(id="x", input="", target=labels[index]) for index in gold],
            labels=labels,
            resamples=200,
            seed=trial,
        ).metrics["macro_f1"]
        held += found.low <= 0.75 <= found.high
    assert held / 80 >= 0.8


def test_no_row_has_no_interval():
    with pytest.raises(DataError, match="no row"):
        resampled_sums(np.ones((0, 2)), resamples=10, seed=0)
