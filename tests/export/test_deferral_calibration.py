"""Which rows fit, which certify, and what a model learns of what fits no label."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import pytest

from potstill.data import Example, Source
from potstill.export import certifying_rows
from potstill.export.deferral import Answered, settle
from potstill.export.scope import fit_scope
from potstill.runtime.decision import Decision
from potstill.spec.deferral import DeferSpec

PERSON = Source(kind="person", name="gold", contributed=("target",), stage="read")
TEACHER = Source(kind="model", name="teacher", contributed=("target",), stage="label")
LABELS = ("a", "b", "c")
BLANK = Decision(LABELS, False)
SPEC = DeferSpec(max_error=0.05, confidence=0.9)
NONE_MORE = np.empty((0, 3), dtype=np.float32)


def _dev(inside: int, outside: int, *, seed: int = 0, source: Source = PERSON) -> Answered:
    """Rows with a label have one high logit, mostly the right one; the others have none."""
    generator = np.random.default_rng(seed)
    logits = generator.normal(size=(inside + outside, 3))
    rows: list[Example] = []
    for at in range(inside):
        label = int(generator.integers(3))
        logits[at, label] += 1.0 + 6.0 * generator.random()
        rows.append(Example(id=f"in{at}", input="x", target=LABELS[label], sources=(source,)))
    for at in range(outside):
        logits[inside + at] -= 2.0
        rows.append(Example(id=f"out{at}", input="x", target="none", sources=(PERSON,)))
    return Answered(rows, logits.astype(np.float32))


def test_three_of_four_gold_rows_certify_whatever_stands_beside_them() -> None:
    dev = _dev(2000, 0).rows
    kept = certifying_rows(dev, seed=1)
    assert 0.72 < len(kept) / len(dev) < 0.78
    assert certifying_rows(dev[::-1], seed=1) == kept[::-1]
    assert set(map(id, certifying_rows(dev[:100], seed=1))) <= set(map(id, kept))
    assert certifying_rows(dev, seed=2) != kept


def test_silver_rows_never_certify_and_groups_stay_together() -> None:
    assert certifying_rows(_dev(100, 0, source=TEACHER).rows, seed=0) == []
    grouped = [
        Example(id=str(at), input="x", target="a", group=f"g{at % 9}", sources=(PERSON,))
        for at in range(900)
    ]
    kept = certifying_rows(grouped, seed=0)
    groups = {row.group for row in kept}
    assert 0 < len(groups) < 9
    assert len(kept) == 100 * len(groups)


def test_certifying_rows_change_nothing_but_the_bound() -> None:
    dev = _dev(1500, 60)
    kept = {row.id for row in certifying_rows(dev.rows, seed=0)}
    one = settle(BLANK, dev, more_outside=NONE_MORE, defer=SPEC, seed=0).decision
    # Other logits and other targets for the rows that certify.
    logits = dev.logits.copy()
    logits[[row.id in kept for row in dev.rows]] *= 0.3
    rows = [replace(row, target="none") if row.id in kept else row for row in dev.rows]
    other = settle(
        BLANK, Answered(rows, logits), more_outside=NONE_MORE, defer=SPEC, seed=0
    ).decision
    assert one.deferral is not None
    assert other.deferral is not None
    assert (one.temperature, one.deferral.scope) == (other.temperature, other.deferral.scope)
    assert one.deferral.min_confidence != other.deferral.min_confidence


def test_policy_keeps_its_promise_on_fresh_rows_and_tells_what_is_outside() -> None:
    settled = settle(BLANK, _dev(3000, 150), more_outside=NONE_MORE, defer=SPEC, seed=0)
    fresh = _dev(3000, 150, seed=1)
    given = [settled.decision.answer(logits) for logits in fresh.logits]
    answered = [(p, r) for p, r in zip(given, fresh.rows, strict=True) if p.answer is not None]
    wrong = sum(p.answer != r.target for p, r in answered)
    assert len(answered) > 0.7 * len(given)
    assert wrong / len(answered) <= 0.05
    everything = [one.target != row.target for one, row in zip(given, fresh.rows, strict=True)]
    assert np.mean(everything) > 0.07, "without deferral the promise would be broken"
    strangers = [one.out_of_scope or 0.0 for one in given[3000:]]
    assert np.mean(strangers) > 5 * np.mean([one.out_of_scope or 0.0 for one in given[:3000]])


def test_facts_say_what_was_shown() -> None:
    settled = settle(BLANK, _dev(1500, 60), more_outside=NONE_MORE, defer=SPEC, seed=0)
    facts = settled.deferral
    assert facts is not None
    policy = settled.decision.deferral
    assert policy is not None
    assert facts["min_confidence"] == policy.min_confidence
    assert facts["certificate"]["max_error"] == 0.05
    assert facts["certificate"]["rows"] == len(certifying_rows(_dev(1500, 60).rows, seed=0))
    assert facts["certificate"]["statement"].startswith("At most 5% of its answers")
    # Each row has one part to play.
    parts = (settled.calibration["rows"], facts["scope_rows"], facts["certificate"]["rows"])
    assert sum(parts) == 1560
    assert 30 <= facts["certificate"]["out_of_scope_rows"] <= 55


def test_without_gold_rows_nothing_is_promised_and_nothing_answered() -> None:
    dev = _dev(800, 0, source=TEACHER)
    settled = settle(BLANK, dev, more_outside=NONE_MORE, defer=SPEC, seed=0)
    assert settled.deferral is not None
    assert settled.deferral["min_confidence"] is None
    assert "there were 0" in settled.deferral["certificate"]["statement"]
    assert settled.decision.answer(dev.logits[0]).deferred == "unsure"
    # The temperature is fitted all the same.
    assert settled.calibration["rows"] == 800


def test_without_a_bound_all_rows_fit_and_only_what_is_outside_is_deferred() -> None:
    dev = _dev(600, 60)
    settled = settle(BLANK, dev, more_outside=NONE_MORE, defer=None, seed=0)
    assert settled.calibration["rows"] == 600
    assert settled.deferral is not None
    assert settled.deferral["min_confidence"] == 0.0
    assert "certificate" not in settled.deferral
    reasons = {settled.decision.answer(logits).deferred for logits in dev.logits}
    assert reasons == {None, "out_of_scope"}


def test_without_bound_and_outside_rows_nothing_is_deferred() -> None:
    settled = settle(BLANK, _dev(600, 0), more_outside=NONE_MORE, defer=None, seed=0)
    assert (settled.deferral, settled.decision.deferral) == (None, None)


def test_rows_of_the_training_teach_the_scope_and_the_rows_of_dev_its_share() -> None:
    dev, more = _dev(900, 20), _dev(1, 300, seed=5).logits[1:]
    few = settle(BLANK, dev, more_outside=NONE_MORE, defer=SPEC, seed=0)
    many = settle(BLANK, dev, more_outside=more, defer=SPEC, seed=0)
    assert few.deferral is not None
    assert many.deferral is not None
    assert many.deferral["scope_rows"] == few.deferral["scope_rows"] + 300
    assert few.decision.deferral is not None
    assert few.decision.deferral.scope is None, "too few rows to learn from"
    policy = many.decision.deferral
    assert policy is not None
    assert policy.scope is not None
    energies = many.decision.energy(dev.logits)
    share = np.mean([policy.scope.outside(float(energy)) for energy in energies])
    assert share == pytest.approx(20 / 920, abs=0.01)


def test_several_labels_know_no_scope() -> None:
    rows = [Example(id=str(i), input="x", target=("a",), sources=(PERSON,)) for i in range(400)]
    logits = np.tile(np.array([[4.0, -4.0, -4.0]], dtype=np.float32), (400, 1))
    settled = settle(
        Decision(LABELS, True), Answered(rows, logits), more_outside=NONE_MORE, defer=SPEC, seed=0
    )
    policy = settled.decision.deferral
    assert policy is not None
    assert (policy.scope, policy.min_confidence) == (None, 0.0)
    assert settled.decision.answer(logits[0]).answer == ("a",)


def test_scope_is_the_curve_of_scikit_learn_on_the_energies() -> None:
    generator = np.random.default_rng(0)
    inside, outside = generator.normal(6.0, 1.0, 900), generator.normal(3.0, 1.0, 100)
    scope = fit_scope(inside, outside)
    assert scope is not None
    # Two normal distributions of one spread: log-odds are linear with these coefficients.
    assert scope.slope == pytest.approx(-3.0, abs=0.4)
    assert scope.slope * 4.5 + scope.intercept == pytest.approx(math.log(100 / 900), abs=0.4)
    rarer = fit_scope(inside, outside, share=0.01)
    assert rarer is not None
    assert rarer.slope * 4.5 + rarer.intercept == pytest.approx(math.log(1 / 99), abs=0.5)


def test_scope_that_energy_does_not_tell_is_none() -> None:
    generator = np.random.default_rng(0)
    low, high = generator.normal(3.0, 1.0, 100), generator.normal(6.0, 1.0, 100)
    assert fit_scope(low, high) is None
    assert fit_scope(high, low[:9]) is None
