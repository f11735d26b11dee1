import numpy as np
import pytest

from potstill.evaluate.estimate import estimate_accuracy
from potstill.runtime.reference import CELLS, Judged, probability_cell


def cells_of(confidence):
    return np.bincount([probability_cell(value) for value in confidence], minlength=CELLS)


def judged_by(confidence, right, targets="gold"):
    rows, good = cells_of(confidence), cells_of(confidence[right])
    return Judged(targets=targets, rows=rows, right=good, answered=rows, answered_right=good)


def world(rng, size, mean, honest=1.0):
    """Confidences, and whether each answer is right; below 1 confidences boast."""
    odds = rng.normal(mean, 1.5, size)
    right = rng.random(size) < 1 / (1 + np.exp(-odds * honest))
    return 1 / (1 + np.exp(-odds)), right


@pytest.mark.parametrize("mean", [3.0, 1.5, 0.3])
def test_the_interval_holds_the_truth_where_the_assumption_does(mean):
    held = 0
    for seed in range(50):
        rng = np.random.default_rng(seed)
        judged = judged_by(*world(rng, 300, 3.0))
        confidence, right = world(rng, 400, mean)
        found = estimate_accuracy(cells_of(confidence), judged, answered=True)
        held += found.accuracy.low <= right.mean() <= found.accuracy.high
    assert held / 50 >= 0.9


def test_boastful_confidences_are_corrected():
    rng = np.random.default_rng(0)
    judged = judged_by(*world(rng, 5000, 2.0, honest=0.5))
    confidence, right = world(rng, 5000, 1.0, honest=0.5)
    found = estimate_accuracy(cells_of(confidence), judged, answered=True)
    assert abs(found.accuracy.value - right.mean()) < 0.02
    assert confidence.mean() - right.mean() > 0.03


def test_where_all_rows_were_right_the_interval_still_has_a_width():
    judged = judged_by(np.full(50, 0.95), np.ones(50, dtype=bool))
    found = estimate_accuracy(cells_of(np.full(100, 0.95)), judged, answered=True)
    assert found.before == 1.0
    assert 0.9 < found.accuracy.low < 0.97 < found.accuracy.value <= found.accuracy.high <= 1.0


def test_answers_and_guesses_have_references_of_their_own():
    rows = cells_of(np.repeat([0.2, 0.9], 200))
    right = cells_of(np.concatenate([np.full(40, 0.2), np.full(180, 0.9)]))
    answered = cells_of(np.full(200, 0.9))
    judged = Judged(
        targets="silver",
        rows=rows,
        right=right,
        answered=answered,
        answered_right=cells_of(np.full(180, 0.9)),
    )
    given = estimate_accuracy(answered, judged, answered=True)
    guessed = estimate_accuracy(rows, judged, answered=False)
    assert (given.before, given.reference_rows, given.targets) == (0.9, 200, "silver")
    assert abs(given.accuracy.value - 0.9) < 0.02
    assert (guessed.before, guessed.n) == (0.55, 400)
    assert abs(guessed.accuracy.value - 0.55) < 0.02


def test_nothing_is_estimated_from_nothing():
    none = np.zeros(CELLS, dtype=np.int64)
    empty = Judged(targets="gold", rows=none, right=none, answered=none, answered_right=none)
    some = judged_by(np.full(5, 0.5), np.ones(5, dtype=bool))
    assert estimate_accuracy(cells_of([0.5]), empty, answered=True) is None
    assert estimate_accuracy(none, some, answered=True) is None
