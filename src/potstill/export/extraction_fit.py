"""Fit when a value is answered, and how sure of it to be, on documents that nothing was learnt from.

One logistic regression (Platt 1999, with a few features of the value beside its logit) for all
fields and each field at once: every feature stands in it twice, shared and the field's own, so
that a field with few documents leans on the others and one with many goes its own way (Daumé III
2007, "Frustratingly Easy Domain Adaptation"; as a prior over fields Finkel & Manning 2009).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from potstill.data.example import Example
from potstill.data.extraction import Extraction
from potstill.data.values import value_key
from potstill.runtime.extraction.decision import (
    NOTHING_FOUND,
    PLAIN,
    ExtractionDecision,
    FieldRule,
    Line,
)
from potstill.runtime.extraction.gather import FEATURES, Found
from potstill.spec.extraction import FieldSpec

_ENOUGH_GOLD = 20
"""Documents with a person's values from which a teacher's are left out."""

_OWN = 0.1
"""How far the weight of a feature may go its own way in a field, before there are documents to
show it: the standard deviation beside one of the shared weight."""

_GRID = np.linspace(0.02, 0.98, 49)
"""Thresholds that are tried for the best F1."""


@dataclass(frozen=True, slots=True)
class _Candidate:
    """A value found in a document: what is known of it, and whether it is right."""

    document: int
    features: tuple[float, ...]
    right: bool


def fit_decision(
    found: Sequence[Mapping[str, Sequence[Found]]],
    documents: Sequence[Example],
    fields: Mapping[str, FieldSpec],
    *,
    min_confidence: float = 0.0,
) -> tuple[ExtractionDecision, dict[str, Any]]:
    """Fit the probability of values, the threshold of each field, and the chance of absence.

    Args:
        found: the values that each document may hold, by field, as the model that ships finds
            them.
        documents: the same, in the same order, with their true values; those without are left
            out. The student must not have been trained on them.
        fields: what is looked for.
        min_confidence: of the decision.

    Returns:
        The decision, and the facts for ``model.json``: how many documents, whose values, and of
        each field how many values there were and how many of them were found at all. Without a
        right value and a wrong one the student's logits are taken at their word.
    """
    used, kind = _usable(documents)
    pairs = {name: _pairs([(found[at], documents[at]) for at in used], name) for name in fields}
    candidates = {name: _candidates(known) for name, known in pairs.items()}
    wanted = {name: [len(keys) for _, keys in known] for name, known in pairs.items()}
    facts: dict[str, Any] = {
        "rows": len(used),
        "targets": kind,
        "fields": {
            name: {"values": sum(wanted[name]), "found": sum(one.right for one in candidates[name])}
            for name in fields
        },
    }
    outcomes = {one.right for some in candidates.values() for one in some}
    if len(outcomes) < 2:
        return ExtractionDecision.plain(fields, min_confidence=min_confidence), facts
    weights = _fit_weights(candidates)
    rules = {
        name: _rule(weights[name], candidates[name], wanted[name], spec)
        for name, spec in fields.items()
    }
    return ExtractionDecision(fields, rules, min_confidence), facts


def _usable(documents: Sequence[Example]) -> tuple[list[int], str | None]:
    rows = [at for at, one in enumerate(documents) if one.target is not None]
    gold = [at for at in rows if documents[at].is_gold]
    used = gold if len(gold) >= _ENOUGH_GOLD else rows
    if not used:
        return [], None
    return used, "gold" if len(used) == len(gold) else "silver"


_Pairs = Sequence[tuple[Sequence[Found], set[str]]]
"""Of each document the values found and the keys of the true ones, of one field."""


def _pairs(read: Sequence[tuple[Mapping[str, Sequence[Found]], Example]], name: str) -> _Pairs:
    """Documents in which a field is decided: where the teacher left it open, nothing tells what is right."""
    pairs: list[tuple[Sequence[Found], set[str]]] = []
    for found, document in read:
        assert isinstance(document.target, Extraction)
        if name not in document.target.unsure:
            keys = {value_key(value.value) for value in document.target.of(name)}
            pairs.append((found.get(name, ()), keys))
    return pairs


def _candidates(pairs: _Pairs) -> list[_Candidate]:
    return [
        _Candidate(at, one.features, value_key(one.value.value) in keys)
        for at, (found, keys) in enumerate(pairs)
        for one in found
    ]


def _fit_weights(
    candidates: Mapping[str, Sequence[_Candidate]],
) -> dict[str, NDArray[np.float64]]:
    """For each field the weights of its features and, last, the intercept (feature + 1,)."""
    from sklearn.linear_model import LogisticRegression

    features = [
        (which, (*one.features, 1.0))
        for which, some in enumerate(candidates.values())
        for one in some
    ]
    width = len(FEATURES) + 1
    scale = np.array([*([_OWN] * len(FEATURES)), 1.0])
    design = np.zeros((len(features), width * (1 + len(candidates))))
    for row, (which, known) in enumerate(features):
        design[row, :width] = known
        design[row, width * (1 + which) : width * (2 + which)] = scale * known
    right = [one.right for some in candidates.values() for one in some]
    model = LogisticRegression(fit_intercept=False, max_iter=1000).fit(design, right)
    shared, *own = model.coef_[0].reshape(-1, width)
    return {name: shared + scale * part for name, part in zip(candidates, own, strict=True)}


def _rule(
    weights: NDArray[np.float64],
    candidates: Sequence[_Candidate],
    wanted: Sequence[int],
    spec: FieldSpec,
) -> FieldRule:
    """The rule of one field.

    Args:
        weights: of its features, the intercept last.
        candidates: values found in the documents.
        wanted: how many values each document holds.
        spec: the field.
    """
    *slopes, intercept = weights.tolist()
    odds = np.array([one.features for one in candidates]).reshape(-1, len(slopes)) @ slopes
    odds += intercept
    surest = np.full(len(wanted), -np.inf)
    for one, at in zip(candidates, odds, strict=True):
        surest[one.document] = max(surest[one.document], at)
    if not spec.many:
        top = [at >= surest[one.document] for one, at in zip(candidates, odds, strict=True)]
        candidates = [one for one, kept in zip(candidates, top, strict=True) if kept]
        odds = odds[np.array(top, dtype=np.bool_)]
    right = np.array([one.right for one in candidates], dtype=np.bool_)
    scores = 0.5 * (1.0 + np.tanh(0.5 * odds))
    return FieldRule(
        tuple(slopes),
        intercept,
        _threshold(scores, right, sum(wanted)),
        _absence(np.clip(surest, NOTHING_FOUND, -NOTHING_FOUND), np.array(wanted) == 0),
    )


def _threshold(scores: NDArray[np.float64], right: NDArray[np.bool_], wanted: int) -> float:
    """The threshold of best F1: half of that F1, since the scores are calibrated.

    Lipton, Elkan & Naryanaswamy 2014, "Optimal Thresholding of Classifiers to Maximize F1
    Measure", theorem 1. The F1 of a few documents is a steadier figure than the place where it
    was reached.

    Args:
        scores: (value) calibrated probabilities.
        right: (value) whether it is right.
        wanted: values that there are, found or not.
    """
    if not wanted:
        return PLAIN.threshold
    answered = scores[None, :] >= _GRID[:, None]
    f1 = 2.0 * (answered & right).sum(axis=1) / (answered.sum(axis=1) + wanted)
    return float(f1.max()) / 2.0


def _absence(surest: NDArray[np.float64], absent: NDArray[np.bool_]) -> Line:
    """How probable it is that a document holds no value, from the surest one found.

    Args:
        surest: (document) log-odds of that value.
        absent: (document) whether there is none.
    """
    from sklearn.linear_model import LogisticRegression

    share = (absent.sum() + 1.0) / (len(absent) + 2.0)
    constant = Line(0.0, float(np.log(share / (1.0 - share))))
    if absent.all() or not absent.any():
        return constant
    model = LogisticRegression().fit(surest[:, None], absent)
    slope = float(model.coef_[0, 0])
    return Line(slope, float(model.intercept_[0])) if slope < 0.0 else constant
