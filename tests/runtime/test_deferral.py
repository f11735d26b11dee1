"""When an answer is withheld, and what a policy looks like on disk."""

from __future__ import annotations

import json
import math
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from potstill.errors import ModelError
from potstill.runtime import Model
from potstill.runtime.decision import Decision
from potstill.runtime.deferral import DeferralPolicy, Scope
from potstill.runtime.folder import CARD_FILE, seal

PLAIN = Decision(("a", "b", "c"), False, 2.0)
SEVERAL = Decision(("a", "b"), True, 1.0, (0.5, 0.5))


def _logits(*values: float) -> np.ndarray:
    return np.array(values, dtype=np.float32)


def test_energy_is_the_log_of_the_sum_of_exponentials() -> None:
    expected = math.log(math.exp(2.0) + math.exp(0.5) + math.exp(-1.0))
    assert PLAIN.energy(_logits(4.0, 1.0, -2.0)) == pytest.approx(expected)


def test_energy_of_large_logits_is_finite_and_of_many_rows_one_each() -> None:
    energies = PLAIN.energy(np.array([[4000.0, 0.0, 0.0], [0.0, 0.0, 0.0]], dtype=np.float32))
    assert energies.tolist() == pytest.approx([2000.0, math.log(3.0)])


def test_without_a_policy_everything_is_answered() -> None:
    answer = PLAIN.answer(_logits(0.1, 0.0, 0.0))
    assert (answer.answer, answer.deferred, answer.out_of_scope) == ("a", None, None)


def test_what_is_less_sure_than_the_bound_is_deferred_with_its_guess() -> None:
    sure, unsure = _logits(6.0, 0.0, 0.0), _logits(1.0, 0.0, 0.0)
    confidence = PLAIN.answer(unsure).confidence
    assert confidence is not None
    cautious = replace(PLAIN, deferral=DeferralPolicy(0.9))
    assert cautious.answer(sure).answer == "a"
    given = cautious.answer(unsure)
    assert (given.answer, given.target, given.deferred) == (None, "a", "unsure")
    assert (given.confidence, given.out_of_scope) == (confidence, None)
    # The bound itself is answered.
    assert replace(PLAIN, deferral=DeferralPolicy(confidence)).answer(unsure).deferred is None


def test_several_labels_are_deferred_together() -> None:
    cautious = replace(SEVERAL, deferral=DeferralPolicy(0.8))
    assert cautious.answer(_logits(4.0, -4.0)).answer == ("a",)
    assert cautious.answer(_logits(4.0, 0.1)).deferred == "unsure"
    assert cautious.answer(_logits(-4.0, -4.0)).answer == ()


def test_infinite_confidence_defers_everything() -> None:
    never = replace(PLAIN, deferral=DeferralPolicy(math.inf))
    given = never.answer(_logits(1000.0, 0.0, 0.0))
    assert (given.confidence, given.answer, given.deferred) == (1.0, None, "unsure")


def test_scope_is_a_logistic_curve_of_the_energy() -> None:
    scope = Scope(-2.0, 3.0)
    assert scope.outside(1.0) == pytest.approx(1.0 / (1.0 + math.exp(-1.0)))
    assert scope.outside(1.5) == pytest.approx(0.5)
    assert (scope.outside(1e6), scope.outside(-1e6)) == (0.0, 1.0)


def test_confidence_counts_that_no_label_may_be_right() -> None:
    logits = _logits(4.0, 0.0, 0.0)
    knows = replace(PLAIN, deferral=DeferralPolicy(scope=Scope(-1.0, 1.0)))
    given = knows.answer(logits)
    assert given.out_of_scope == pytest.approx(
        1.0 / (1.0 + math.exp(float(PLAIN.energy(logits)) - 1.0))
    )
    sure = PLAIN.answer(logits).confidence
    assert sure is not None
    assert given.confidence == pytest.approx(sure * (1.0 - given.out_of_scope))
    # The scores stay those of the labels among themselves.
    assert given.scores == PLAIN.answer(logits).scores
    assert given.answer == "a"


@pytest.mark.parametrize(
    ("sure", "outside", "least", "reason"),
    [
        (0.99, 0.01, 0.9, None),
        (0.99, 0.51, 0.0, "out_of_scope"),
        (0.99, 0.5, 0.0, None),
        (0.99, 0.3, 0.9, "out_of_scope"),
        (0.6, 0.1, 0.9, "unsure"),
        (0.6, 0.0, 0.6, None),
    ],
)
def test_reason_is_the_likelier_way_of_being_wrong(
    sure: float, outside: float, least: float, reason: str | None
) -> None:
    assert DeferralPolicy(least).reason(sure, outside) == reason


@pytest.mark.parametrize(
    "policy",
    [DeferralPolicy(), DeferralPolicy(0.4, Scope(-1.5, 2.0)), DeferralPolicy(math.inf)],
)
def test_policy_survives_json(policy: DeferralPolicy) -> None:
    decision = replace(PLAIN, deferral=policy)
    written = json.loads(json.dumps(decision.to_json(), allow_nan=False))
    assert Decision.from_json(written) == decision


def test_decision_without_the_key_is_an_old_model_that_answers_everything() -> None:
    assert "deferral" not in PLAIN.to_json()
    assert Decision.from_json(PLAIN.to_json()).deferral is None


@pytest.mark.parametrize(
    "broken",
    [{}, {"min_confidence": -0.1, "scope": None}, {"min_confidence": float("nan"), "scope": None}],
)
def test_policy_that_cannot_be_meant_is_refused(broken: dict) -> None:
    with pytest.raises((KeyError, ValueError)):
        Decision.from_json({**PLAIN.to_json(), "deferral": broken})


def test_scope_of_several_labels_is_refused() -> None:
    policy = DeferralPolicy(scope=Scope(-1.0, 0.0)).to_json()
    with pytest.raises(ValueError, match="multilabel"):
        Decision.from_json({**SEVERAL.to_json(), "deferral": policy})


def _with_deferral(folder: Path, deferral: object) -> None:
    document = json.loads((folder / CARD_FILE).read_text(encoding="utf-8"))
    for key in ("format", "format_version", "checksum"):
        del document[key]
    (folder / CARD_FILE).write_bytes(seal({**document, "deferral": deferral}))


def test_model_folder_carries_its_policy(make_folder: Callable[..., Path]) -> None:
    folder = make_folder()
    before = Model.load(folder).predict("the loan")
    _with_deferral(folder, {"min_confidence": None, "scope": {"slope": -1.0, "intercept": -9.0}})
    model = Model.load(folder, workers=2)
    after = model.predict("the loan")
    assert (before.deferred, after.deferred) == (None, "unsure")
    assert (after.target, after.scores) == (before.target, before.scores)
    # The same bits in any company.
    assert model.predict(["a house", "the loan", "card charge card"])[1] == after
    assert model.self_check().probes == 1


def test_broken_policy_is_a_damaged_model(make_folder: Callable[..., Path]) -> None:
    folder = make_folder()
    _with_deferral(folder, {"min_confidence": "high", "scope": None})
    with pytest.raises(ModelError, match=r"model\.json"):
        Model.load(folder)
