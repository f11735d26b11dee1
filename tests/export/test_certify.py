"""The certificate against its definition, against MAPIE's controller, and against chance."""

from __future__ import annotations

import math
import warnings

import numpy as np
from scipy.stats import binom

from potstill.data import Prediction
from potstill.export.certify import (
    Certificate,
    _sequence,
    certify,
    fewest_rows,
)
from potstill.spec.deferral import DeferSpec

SPEC = DeferSpec(max_error=0.05, confidence=0.9)


def _predictions(confidences: np.ndarray) -> list[Prediction]:
    return [Prediction("a", float(value)) for value in confidences]


def _drawn(rows: int, generator: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    """Confidences that are the truth, and whether each row is right."""
    confidences = 1.0 - generator.beta(0.15, 2.0, size=rows)
    return confidences, generator.random(rows) < confidences


def _certify(confidences: np.ndarray, right: np.ndarray, earlier: np.ndarray) -> Certificate:
    return certify(
        _predictions(confidences), right, outside=0, earlier=_predictions(earlier), spec=SPEC
    )


def test_fewest_rows_is_where_no_error_at_all_begins_to_show_something() -> None:
    assert fewest_rows(SPEC) == 45
    assert binom.cdf(0, 45, 0.05) <= 0.1 < binom.cdf(0, 44, 0.05)


def test_bound_is_shown_by_the_exact_binomial_test() -> None:
    generator = np.random.default_rng(0)
    earlier, _ = _drawn(400, generator)
    confidences, right = _drawn(1200, generator)
    found = _certify(confidences, right, earlier)
    answered = confidences >= found.min_confidence
    assert (found.answered, found.wrong) == (answered.sum(), (answered & ~right).sum())
    assert 0.8 < found.answered / found.rows < 0.98
    assert binom.cdf(found.wrong, found.answered, 0.05) <= 0.1
    # Not much further down it is shown no more.
    lower = confidences >= found.min_confidence - 0.1
    assert binom.cdf((lower & ~right).sum(), lower.sum(), 0.05) > 0.1


def test_mapie_s_controller_finds_the_same_bound() -> None:
    """Selective accuracy is the precision of "answer it"; the sequence is ours."""
    from mapie.risk_control import BinaryClassificationController

    generator = np.random.default_rng(1)
    earlier, _ = _drawn(300, generator)
    confidences, right = _drawn(1000, generator)
    ours = _certify(confidences, right, earlier)
    theirs = BinaryClassificationController(
        lambda values: np.column_stack([1.0 - values, values]),
        risk="precision",
        target_level=0.95,
        confidence_level=0.9,
        list_predict_params=_sequence(earlier, 1000, SPEC),
        fwer_method="fixed_sequence",
    )
    with warnings.catch_warnings():
        # It remarks that the risk does not rise with every single step.
        warnings.simplefilter("ignore", UserWarning)
        theirs.calibrate(confidences, right.astype(int))
    # It rounds the product of rows and risk upwards, at times by one whole error too many.
    assert ours.min_confidence <= theirs.best_predict_param
    assert (confidences >= theirs.best_predict_param).sum() >= ours.answered - 20


def test_more_wrong_answers_than_promised_come_about_as_rarely_as_promised() -> None:
    """The error of a bound is known here: the confidences are the true probabilities."""
    generator = np.random.default_rng(2)
    everything, _ = _drawn(200_000, generator)
    everything.sort()
    broken = answering = 0
    for _ in range(300):
        earlier, _ = _drawn(100, generator)
        found = _certify(*_drawn(300, generator), earlier)
        if found.holds:
            answering += 1
            answered = everything[np.searchsorted(everything, found.min_confidence) :]
            broken += 1.0 - answered.mean() > SPEC.max_error
    assert answering > 250
    # 30 of 300 are allowed; three standard deviations of chance on top.
    assert broken <= 30 + 3 * math.sqrt(300 * 0.1 * 0.9)
    assert broken > 0, "a bound that is never broken in 300 draws answers too little"


def test_too_few_rows_show_nothing_and_say_how_many_would() -> None:
    confidences = np.full(44, 0.99)
    found = _certify(confidences, np.ones(44, dtype=bool), confidences)
    assert (found.holds, found.min_confidence, found.answered) == (False, math.inf, 0)
    statement = found.statement(SPEC)
    assert "at least 45 calibration rows" in statement
    assert "at least 60 such rows" in statement
    assert "there were 44" in statement
    assert found.to_json(SPEC)["holds"] is False


def test_forty_five_faultless_rows_are_just_enough() -> None:
    confidences = np.linspace(0.8, 0.99, 45)
    found = _certify(confidences, np.ones(45, dtype=bool), np.linspace(0.7, 0.99, 15))
    assert found.holds
    assert (found.answered, found.wrong) == (45, 0)


def test_a_model_that_is_never_right_enough_answers_nothing() -> None:
    generator = np.random.default_rng(3)
    confidences = generator.random(500)
    found = _certify(confidences, generator.random(500) < 0.7, generator.random(100))
    assert not found.holds
    assert "500 calibration rows do not show that at most 5%" in found.statement(SPEC)


def test_a_faultless_model_answers_everything() -> None:
    confidences = np.random.default_rng(4).random(500)
    found = _certify(confidences, np.ones(500, dtype=bool), confidences[:50])
    assert (found.min_confidence, found.answered) == (0.0, 500)


def test_what_is_out_of_scope_already_counts_neither_as_answered_nor_as_wrong() -> None:
    confidences = np.linspace(0.5, 1.0, 300)
    given = [Prediction("a", float(value)) for value in confidences]
    given += [Prediction("a", 0.4, deferred="out_of_scope")] * 60
    right = np.repeat([True, False], [300, 60])
    found = certify(given, right, outside=60, earlier=given, spec=SPEC)
    assert (found.answered, found.wrong, found.rows, found.outside) == (300, 0, 360, 60)
    assert found.min_confidence == 0.0
    assert "16.7% fit no label" in found.statement(SPEC)


def test_statement_holds_the_figures() -> None:
    statement = Certificate(0.4, 1000, 30, 900, 36).statement(SPEC)
    for words in (
        "At most 5% of its answers",
        "90%",
        "1,000",
        "90.0%",
        "4.0%",
        "3.0% fit no label",
    ):
        assert words in statement
