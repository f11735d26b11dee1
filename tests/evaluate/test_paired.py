"""Paired tests against scipy and hand values."""

from __future__ import annotations

import pytest
from scipy import stats

from potstill.data import Example, Prediction
from potstill.evaluate import Comparison, compare, mcnemar_p

LABELS = ("a", "b")


@pytest.mark.parametrize(
    ("wins", "losses"), [(0, 0), (1, 0), (5, 5), (3, 14), (40, 22), (900, 700)]
)
def test_mcnemar_agrees_with_the_binomial_test(wins, losses):
    expected = stats.binomtest(wins, wins + losses).pvalue if wins + losses else 1.0
    assert mcnemar_p(wins, losses) == pytest.approx(expected)


def test_mcnemar_is_exact_far_in_the_tail():
    assert mcnemar_p(0, 1000) == 2.0**-999
    assert mcnemar_p(0, 20_000) == 0.0


def pair(wins: int, losses: int, ties: int) -> Comparison:
    outcomes = [("a", "b")] * wins + [("b", "a")] * losses + [("a", "a")] * ties
    gold = [Example(id=str(row), input="", target="a") for row in range(len(outcomes))]
    return compare(
        [Prediction(first) for first, _ in outcomes],
        [Prediction(second) for _, second in outcomes],
        gold,
        labels=LABELS,
        names=("one", "two"),
    )


def test_counts_difference_and_rows():
    found = pair(6, 2, 92)
    assert (found.wins, found.losses, found.ties, found.n) == (6, 2, 92, 100)
    assert found.difference.value == pytest.approx(0.04)
    # The difference of a row is 1, -1 or 0: its standard error is known.
    error = ((0.08 - 0.04**2) / 100) ** 0.5
    assert found.difference.high - found.difference.low == pytest.approx(2 * 1.96 * error, rel=0.1)
    assert [row.outcome for row in found.rows[:8]] == ["win"] * 6 + ["loss"] * 2
    assert found.without_rows().rows == ()
    assert Comparison.from_json(found.to_json()) == found


@pytest.mark.parametrize(
    ("wins", "losses", "outcome"),
    [
        (30, 5, "better"),
        (5, 30, "worse"),
        (10, 8, "within noise"),
        (0, 0, "within noise"),
        (5, 0, "within noise"),
    ],
)
def test_outcome_needs_test_and_interval(wins, losses, outcome):
    # Five wins of five: p = 0.0625, although the interval excludes 0.
    assert pair(wins, losses, 100).outcome == outcome


def test_multilabel_decides_by_micro_f1(world):
    made = world(("a", "b", "c"), 300, multilabel=True)
    better, worse = made.answers(0.95), made.answers(0.4)
    found = compare(better, worse, made.gold, labels=made.labels, multilabel=True)
    assert found.primary == "micro_f1"
    assert found.outcome == "better"
    back = compare(worse, better, made.gold, labels=made.labels, multilabel=True)
    assert back.outcome == "worse"
    assert back.differences["micro_f1"].value == pytest.approx(-found.differences["micro_f1"].value)
