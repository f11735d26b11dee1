"""Which rows are asked again, and what a round says of itself."""

from __future__ import annotations

import numpy as np
import pytest

from potstill.data import Example
from potstill.run.rounds import Round, doubt, mean_score

LABELS = ("a", "b", "c")


def rows(*targets: str | tuple[str, ...]) -> list[Example]:
    return [Example(id=str(n), input="x", target=target) for n, target in enumerate(targets)]


def test_rows_that_differ_come_first_then_the_unsure_ones():
    opinions = np.array(
        [[0.9, 0.05, 0.05], [0.4, 0.35, 0.25], [0.1, 0.8, 0.1], [0.5, 0.3, 0.2]], dtype=np.float32
    )
    found = doubt(opinions, rows("a", "a", "a", "b"), LABELS, multilabel=False)
    assert np.argsort(-found).tolist() == [2, 3, 1, 0]
    assert (found > 1.0).tolist() == [False, False, True, True]


def test_of_several_labels_the_most_doubtful_counts():
    opinions = np.array([[0.9, 0.1, 0.1], [0.9, 0.45, 0.1], [0.2, 0.1, 0.1]], dtype=np.float32)
    found = doubt(opinions, rows(("a",), ("a",), ("a",)), LABELS, multilabel=True)
    assert np.argsort(-found).tolist() == [2, 1, 0]
    assert found[2] > 1.0 > found[1]


def test_the_score_is_accuracy_or_the_mean_f1_of_rows():
    opinions = np.array([[0.9, 0.1, 0.0], [0.2, 0.7, 0.1]], dtype=np.float32)
    assert mean_score(opinions, rows("a", "c"), LABELS, multilabel=False) == 0.5
    several = mean_score(opinions, rows(("a", "b"), ()), LABELS, multilabel=True)
    assert several == pytest.approx((2 / 3 + 0.0) / 2)


def test_what_a_dollar_bought_is_unknown_where_nothing_was_paid():
    assert Round(number=1, gain=0.02, cost_usd=4.0).gain_per_usd == pytest.approx(0.005)
    assert Round(number=1, gain=0.02, cost_usd=0.0).gain_per_usd is None
    assert Round(number=1, gain=0.02, cost_usd=None).gain_per_usd is None
