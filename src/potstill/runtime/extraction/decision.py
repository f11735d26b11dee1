"""From the values that a document may hold to the answer: probabilities, thresholds, abstention."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from potstill.data.example import Prediction
from potstill.data.extraction import Extraction, Value
from potstill.runtime.extraction.gather import FEATURES, Found
from potstill.spec.extraction import FieldSpec

NOTHING_FOUND = -10.0
"""Log-odds of the surest value of a field of which nothing at all was found."""


@dataclass(frozen=True, slots=True)
class Line:
    """Log-odds as a straight line: a logistic curve of one variable.

    Attributes:
        slope: of the log-odds.
        intercept: of the log-odds.
    """

    slope: float
    intercept: float

    def probability(self, at: float) -> float:
        """The curve at a place."""
        return _sigmoid(self.slope * at + self.intercept)


@dataclass(frozen=True, slots=True)
class FieldRule:
    """When a value of a field is answered, and how probably the answer is right.

    Attributes:
        weights: of the log-odds that a value is right, by `FEATURES`.
        intercept: of the same.
        threshold: probability from which a value is answered.
        absent: how probable it is that the document holds none, from the log-odds of the
            surest value found.
    """

    weights: tuple[float, ...]
    intercept: float
    threshold: float
    absent: Line

    def log_odds(self, found: Found) -> float:
        """Log-odds that a value is right."""
        return self.intercept + sum(
            weight * feature for weight, feature in zip(self.weights, found.features, strict=True)
        )


PLAIN = FieldRule((1.0, *(0.0 for _ in FEATURES[1:])), 0.0, 0.5, Line(-1.0, 0.0))
"""The student's logit taken at its word: what there is before anything was calibrated."""


@dataclass(frozen=True, slots=True)
class ExtractionDecision:
    """How the values found in a document become a `Prediction`; written once, in ``model.json``.

    Attributes:
        fields: what is looked for, in the order of the logits: the one place that fixes it.
        rules: of each field.
        min_confidence: a field that is less sure is unsure.
    """

    fields: Mapping[str, FieldSpec]
    rules: Mapping[str, FieldRule]
    min_confidence: float = 0.0

    @classmethod
    def plain(
        cls, fields: Mapping[str, FieldSpec], *, min_confidence: float = 0.0
    ) -> ExtractionDecision:
        """Before calibration: a value is answered from a logit of zero."""
        return cls(fields, dict.fromkeys(fields, PLAIN), min_confidence)

    @classmethod
    def from_json(cls, document: Mapping[str, Any]) -> ExtractionDecision:
        """Read the decision out of the content of ``model.json``.

        Raises:
            KeyError: something is missing.
            ValueError: a field that cannot be meant, or a rule made for other features.
        """
        fields = {name: FieldSpec(**spec) for name, spec in document["fields"].items()}
        decision = document["decision"]
        if tuple(decision["features"]) != FEATURES:
            raise ValueError("the rules of the fields are made for other features")
        rules = {name: _rule_from_json(decision["rules"][name]) for name in fields}
        return cls(fields, rules, float(decision["min_confidence"]))

    def to_json(self) -> dict[str, Any]:
        """The part of ``model.json`` that `from_json` reads, with the names as ``labels``."""
        return {
            "type": "extraction",
            "labels": list(self.fields),
            "fields": {
                name: spec.model_dump(exclude_defaults=True) for name, spec in self.fields.items()
            },
            "decision": {
                "features": list(FEATURES),
                "rules": {name: _rule_to_json(rule) for name, rule in self.rules.items()},
                "min_confidence": self.min_confidence,
            },
        }

    def answer(
        self, found: Mapping[str, Sequence[Found]], *, truncated: bool = False
    ) -> Prediction:
        """The prediction for one document.

        The confidence is the probability that every field is right, as the product over
        fields: it takes them for independent. A required field of which no value is sure enough
        has the surest one as a guess, and the whole answer is deferred.

        Args:
            found: by field; one of which nothing was found may be absent.
            truncated: whether something that the input says beside its document was cut.
        """
        values: dict[str, tuple[Value, ...]] = {}
        scores: dict[str, float] = {}
        unsure: list[str] = []
        for name, spec in self.fields.items():
            rated = _rated(found.get(name, ()), self.rules[name])
            said, scores[name] = _decide(rated, self.rules[name], many=spec.many)
            missing = spec.required and not said
            if missing:
                said = rated[:1]
                scores[name] = _sure(rated[0]) if rated else 0.0
            if said:
                values[name] = tuple(sorted(said, key=_place))
            if missing or scores[name] < self.min_confidence:
                unsure.append(name)
        deferred = any(self.fields[name].required for name in unsure)
        return Prediction(
            Extraction(values, tuple(unsure)),
            math.prod(scores.values()),
            scores,
            truncated,
            "unsure" if deferred else None,
        )


def _rated(found: Sequence[Found], rule: FieldRule) -> list[Value]:
    """The values with their confidence, the surest first."""
    rated = [replace(one.value, confidence=_sigmoid(rule.log_odds(one))) for one in found]
    return sorted(rated, key=lambda value: (-_sure(value), _place(value)))


def _decide(rated: list[Value], rule: FieldRule, *, many: bool) -> tuple[list[Value], float]:
    """The values that are answered, and how probable it is that they, or none, are right."""
    answered = [value for value in rated if _sure(value) >= rule.threshold]
    if not answered:
        surest = _log_odds(_sure(rated[0])) if rated else NOTHING_FOUND
        return [], rule.absent.probability(surest)
    if not many:
        return answered[:1], _sure(answered[0])
    left = rated[len(answered) :]
    right = math.prod(map(_sure, answered)) * math.prod(1.0 - _sure(value) for value in left)
    return answered, right


def _sure(value: Value) -> float:
    assert value.confidence is not None
    return value.confidence


def _place(value: Value) -> int:
    return value.start or 0


def _sigmoid(log_odds: float) -> float:
    # The hyperbolic tangent neither overflows nor warns at either end.
    return 0.5 * (1.0 + math.tanh(0.5 * log_odds))


def _log_odds(probability: float) -> float:
    if probability <= 0.0:
        return NOTHING_FOUND
    if probability >= 1.0:
        return -NOTHING_FOUND
    return min(max(math.log(probability / (1.0 - probability)), NOTHING_FOUND), -NOTHING_FOUND)


def _rule_to_json(rule: FieldRule) -> dict[str, Any]:
    return {
        "weights": list(rule.weights),
        "intercept": rule.intercept,
        "threshold": rule.threshold,
        "absent": {"slope": rule.absent.slope, "intercept": rule.absent.intercept},
    }


def _rule_from_json(row: Mapping[str, Any]) -> FieldRule:
    weights = tuple(map(float, row["weights"]))
    if len(weights) != len(FEATURES):
        raise ValueError("a rule has not one weight a feature")
    absent = Line(float(row["absent"]["slope"]), float(row["absent"]["intercept"]))
    return FieldRule(weights, float(row["intercept"]), float(row["threshold"]), absent)
