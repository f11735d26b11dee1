"""What is answered of the values found, and how sure: hand values."""

from __future__ import annotations

import math

import pytest

from potstill.data.extraction import Extraction, Value
from potstill.runtime.extraction.decision import (
    NOTHING_FOUND,
    ExtractionDecision,
    FieldRule,
    Line,
)
from potstill.runtime.extraction.gather import FEATURES, Found
from potstill.spec.extraction import FieldSpec

FIELDS = {
    "party": FieldSpec(many=True, description="who signs"),
    "law": FieldSpec(type="choice", choices={"Ohio": ["State of Ohio"], "Utah": []}),
}
RULES = {
    "party": FieldRule((1.0, 0.5, 0.0, 0.0), -1.0, 0.4, Line(-0.5, -2.0)),
    "law": FieldRule((1.0, 0.0, 0.0, 2.0), 0.0, 0.3, Line(-1.0, 1.0)),
}
DECISION = ExtractionDecision(FIELDS, RULES)


def found(value: str, *features: float, start: int = 0) -> Found:
    return Found(Value(value, value, start, start + len(value)), features)


def sigmoid(log_odds: float) -> float:
    return 1.0 / (1.0 + math.exp(-log_odds))


def test_probabilities_come_from_the_weighted_features() -> None:
    answer = DECISION.answer({"law": [found("Ohio", 0.25, 9.0, 9.0, 0.5)]})
    assert isinstance(answer.target, Extraction)
    (value,) = answer.target.of("law")
    assert value.confidence == pytest.approx(sigmoid(0.25 + 2.0 * 0.5))
    assert (answer.scores or {})["law"] == value.confidence


def test_many_values_stand_in_the_order_of_the_document() -> None:
    several = [
        found("b", 3.0, 0.0, 0.0, 0.0, start=50),
        found("a", 1.0, 1.0, 0.0, 0.0, start=7),
        found("c", 0.0, 0.0, 0.0, 0.0, start=1),
    ]
    answer = DECISION.answer({"party": several})
    assert isinstance(answer.target, Extraction)
    assert [value.value for value in answer.target.of("party")] == ["a", "b"]
    # Right where both are, and the one that was left out is not.
    expected = sigmoid(2.0) * sigmoid(0.5) * (1.0 - sigmoid(-1.0))
    assert (answer.scores or {})["party"] == pytest.approx(expected)


def test_absence_is_answered_with_its_own_probability() -> None:
    answer = DECISION.answer({"law": [found("Utah", -2.0, 0.0, 0.0, 0.0)]})
    assert answer.target == Extraction({})
    assert answer.scores == pytest.approx(
        {"party": sigmoid(-0.5 * NOTHING_FOUND - 2.0), "law": sigmoid(2.0 + 1.0)}
    )
    assert answer.confidence == pytest.approx(math.prod((answer.scores or {}).values()))


def test_extreme_logits_neither_overflow_nor_warn() -> None:
    for logit in (-1e6, -800.0, 800.0, 1e6):
        answer = DECISION.answer({"law": [found("Utah", logit, 0.0, 0.0, 0.0)]})
        assert 0.0 <= (answer.scores or {})["law"] <= 1.0


def test_plain_takes_the_logit_at_its_word() -> None:
    plain = ExtractionDecision.plain(FIELDS)
    here = plain.answer({"law": [found("Utah", 0.1, 9.0, -9.0, 1.0)]})
    assert (here.scores or {})["law"] == pytest.approx(sigmoid(0.1))
    gone = plain.answer({"law": [found("Utah", -0.1, 9.0, -9.0, 1.0)]})
    assert gone.target == Extraction({})
    assert (gone.scores or {})["law"] == pytest.approx(sigmoid(0.1))


def test_a_decision_comes_back_from_json() -> None:
    decision = ExtractionDecision(FIELDS, RULES, 0.25)
    document = decision.to_json()
    assert (document["type"], document["labels"]) == ("extraction", ["party", "law"])
    assert ExtractionDecision.from_json(document) == decision


def test_a_decision_for_other_features_is_refused() -> None:
    document = DECISION.to_json()
    document["decision"]["features"] = [*FEATURES, "colour"]
    with pytest.raises(ValueError, match="other features"):
        ExtractionDecision.from_json(document)
    document = DECISION.to_json()
    document["decision"]["rules"]["law"]["weights"] = [1.0]
    with pytest.raises(ValueError, match="one weight a feature"):
        ExtractionDecision.from_json(document)
