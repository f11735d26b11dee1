"""Temperature and thresholds against hand values and a direct search."""

from __future__ import annotations

import numpy as np
import pytest
from sklearn.metrics import f1_score

from potstill.data import Example, Source
from potstill.export.calibrate import calibrate
from potstill.runtime.decision import Decision

PERSON = Source(kind="person", name="gold", contributed=("target",), stage="import")
TEACHER = Source(kind="model", name="teacher", contributed=("target",), stage="label")


def _rows(targets: list, source: Source = PERSON) -> list[Example]:
    return [
        Example(id=str(at), input="x", target=target, sources=(source,))
        for at, target in enumerate(targets)
    ]


def _drawn(temperature: float, rows: int) -> tuple[np.ndarray, list[str]]:
    """Logits, and labels drawn from their softmax at the temperature."""
    generator = np.random.default_rng(0)
    logits = generator.normal(scale=3.0, size=(rows, 3))
    exponential = np.exp(logits / temperature)
    cumulative = (exponential / exponential.sum(axis=1, keepdims=True)).cumsum(axis=1)
    drawn = (generator.random((rows, 1)) > cumulative).sum(axis=1)
    return logits.astype(np.float32), ["abc"[at] for at in drawn]


@pytest.mark.parametrize("temperature", [0.5, 1.0, 2.5])
def test_temperature_is_recovered(temperature: float) -> None:
    logits, targets = _drawn(temperature, 6000)
    decision, facts = calibrate(Decision(("a", "b", "c"), False), logits, _rows(targets))
    assert decision.temperature == pytest.approx(temperature, rel=0.06)
    assert facts["nll_after"] <= facts["nll_before"]
    assert (facts["rows"], facts["targets"]) == (6000, "gold")


def test_likelihood_before_is_that_of_scikit_learn_on_smoothed_targets() -> None:
    from sklearn.metrics import log_loss

    logits, targets = _drawn(1.3, 400)
    exponential = np.exp(logits.astype(np.float64))
    scores = exponential / exponential.sum(axis=1, keepdims=True)
    # Each row counts for its label but for one part in 402, which the other two share.
    every = np.repeat(["a", "b", "c"], 400)
    weight = np.where(every == np.tile(targets, 3), 1 - 1 / 402, 0.5 / 402)
    expected = log_loss(every, np.tile(scores, (3, 1)), sample_weight=weight)
    _, facts = calibrate(Decision(("a", "b", "c"), False), logits, _rows(targets))
    assert facts["nll_before"] == pytest.approx(expected, rel=1e-6)


@pytest.mark.parametrize("multilabel", [False, True])
def test_likelihood_after_never_exceeds_that_before(multilabel: bool) -> None:
    # Sixty right answers, and too sure of it: the smoothed targets ask for a temperature above
    # one, and on hard targets the likelihood would fall.
    first = (("a",), [6.0, -6.0, -6.0]) if multilabel else ("a", [8.0, 0.0, 0.0])
    logits = np.tile(np.array([first[1]], dtype=np.float32), (60, 1))
    targets: list = [first[0]] * 60
    decision, facts = calibrate(Decision(("a", "b", "c"), multilabel), logits, _rows(targets))
    assert decision.temperature > 1.0
    assert facts["nll_after"] < facts["nll_before"]


def test_a_faultless_split_leaves_some_doubt() -> None:
    logits = np.tile(np.array([[4.0, 0.0, 0.0]], dtype=np.float32), (60, 1))
    decision, _ = calibrate(Decision(("a", "b", "c"), False), logits, _rows(["a"] * 60))
    # One pseudo-count in 62: the likelihood is highest where the confidence is 61/62.
    assert decision.answer(logits[0]).confidence == pytest.approx(61 / 62, abs=1e-3)


def test_enough_gold_rows_leave_silver_ones_out() -> None:
    logits, targets = _drawn(1.0, 200)
    mixed = _rows(targets[:60]) + _rows(targets[60:], TEACHER)
    _, facts = calibrate(Decision(("a", "b", "c"), False), logits, mixed)
    assert (facts["rows"], facts["targets"]) == (60, "gold")
    _, facts = calibrate(Decision(("a", "b", "c"), False), logits, mixed[20:])
    assert (facts["rows"], facts["targets"]) == (180, "silver")


def test_without_targets_nothing_is_fitted() -> None:
    rows = [Example(id="1", input="x")]
    decision, facts = calibrate(Decision(("a", "b"), True), np.zeros((1, 2), np.float32), rows)
    assert (decision.temperature, decision.thresholds) == (1.0, (0.5, 0.5))
    assert facts["rows"] == 0


def test_threshold_has_the_best_f1_and_rare_labels_keep_one_half() -> None:
    generator = np.random.default_rng(0)
    right = generator.random(600) < 0.3
    # The label's logit is biased downwards: one half would miss most of its rows.
    logits = np.stack([right * 2.0 - 2.2 + generator.normal(size=600), np.full(600, -2.0)], axis=1)
    targets = [("a",) if hit else () for hit in right]
    targets[0] = (*targets[0], "b")
    decision, _ = calibrate(Decision(("a", "b"), True), logits.astype(np.float32), _rows(targets))

    from sklearn.metrics import f1_score

    scores = decision.probabilities(logits.astype(np.float32))[:, 0]
    best = max(f1_score(right, scores >= at) for at in np.linspace(0.05, 0.95, 37))
    assert f1_score(right, scores >= decision.thresholds[0]) == pytest.approx(best)
    assert best > f1_score(right, scores >= 0.5)
    assert decision.thresholds[1] == 0.5


def test_a_threshold_a_label_beats_one_half_on_rows_that_did_not_choose_it() -> None:
    """Five labels of 2% to 40%, each with a bias of its own, as heads on few rows have it."""
    rng = np.random.default_rng(11)
    labels = ("a", "b", "c", "d", "e")
    rates, biases = np.array([0.4, 0.2, 0.1, 0.05, 0.02]), np.array([1.0, -1.5, 0.0, -2.0, 1.5])

    def draw(rows: int) -> tuple[np.ndarray, np.ndarray]:
        hot = rng.random((rows, 5)) < rates
        logits = rng.normal(np.log(rates / (1 - rates)) + 3.0 * hot, 1.5) + biases
        return hot, logits.astype(np.float32)

    hot, logits = draw(3000)
    rows = [
        Example(id=str(at), input="x", target=tuple(np.array(labels)[one]))
        for at, one in enumerate(hot)
    ]
    decision, _ = calibrate(Decision(labels, multilabel=True), logits, rows)
    assert len(set(decision.thresholds)) > 1
    unseen, new = draw(3000)
    said = decision.probabilities(new)
    ours = f1_score(unseen, said >= np.array(decision.thresholds), average="macro")
    half = f1_score(unseen, said >= 0.5, average="macro")
    assert ours > half + 0.05
