"""Probabilities, thresholds and absence, fitted on documents made with known probabilities."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace

import numpy as np
import pytest

from potstill.data.example import Example, Source
from potstill.data.extraction import Extraction, Value
from potstill.export.extraction_fit import fit_decision
from potstill.runtime.extraction.decision import PLAIN, ExtractionDecision
from potstill.runtime.extraction.gather import Found
from potstill.spec.extraction import FieldSpec

PERSON = Source(kind="person", name="gold", contributed=("target",), stage="import")
ONE = {"law": FieldSpec()}
TWO = {"law": FieldSpec(), "party": FieldSpec(many=True)}


def row(at: int, *, sources: tuple[Source, ...] = (PERSON,), **values: Sequence[str]) -> Example:
    target = Extraction({name: tuple(map(Value, said)) for name, said in values.items()})
    return Example(id=str(at), input="", target=target, sources=sources)


def found(value: str, logit: float) -> Found:
    return Found(Value(value), (logit, 0.0, 0.0, 0.0))


def made(
    rows: int, *, slope: float, intercept: float, seed: int = 0
) -> tuple[list[Mapping[str, list[Found]]], list[Example]]:
    """Documents with one candidate each, right with a probability that its logit tells."""
    generator = np.random.default_rng(seed)
    logits = generator.normal(0.0, 3.0, rows)
    right = generator.random(rows) < 1.0 / (1.0 + np.exp(-(slope * logits + intercept)))
    return (
        [{"law": [found("Ohio", float(logit))]} for logit in logits],
        [row(at, law=["OHIO"] if said else []) for at, said in enumerate(right)],
    )


def test_the_probability_is_that_of_being_right() -> None:
    read, documents = made(5000, slope=0.6, intercept=-0.8)
    decision, facts = fit_decision(read, documents, ONE)
    rule = decision.rules["law"]
    assert rule.weights[0] == pytest.approx(0.6, abs=0.05)
    assert rule.intercept == pytest.approx(-0.8, abs=0.12)
    assert (facts["rows"], facts["targets"]) == (5000, "gold")
    absent = sum(not isinstance(d.target, Extraction) or not d.target.of("law") for d in documents)
    assert facts["fields"]["law"] == {"values": 5000 - absent, "found": 5000 - absent}


def test_absence_has_the_probability_of_no_value() -> None:
    read, documents = made(5000, slope=0.6, intercept=-0.8)
    decision, _ = fit_decision(read, documents, ONE)
    answers = [decision.answer(one) for one in read]
    silent = [
        (answer.scores or {})["law"]
        for answer in answers
        if isinstance(answer.target, Extraction) and not answer.target.of("law")
    ]
    told = [
        not (isinstance(document.target, Extraction) and document.target.of("law"))
        for document, answer in zip(documents, answers, strict=True)
        if isinstance(answer.target, Extraction) and not answer.target.of("law")
    ]
    assert len(silent) > 1000
    assert np.mean(silent) == pytest.approx(np.mean(told), abs=0.02)


def test_the_threshold_is_the_one_of_best_f1() -> None:
    read, documents = made(4000, slope=0.5, intercept=-1.0)
    decision, _ = fit_decision(read, documents, ONE)

    def f1(threshold: float) -> float:
        rule = replace(decision.rules["law"], threshold=threshold)
        answers = [ExtractionDecision(ONE, {"law": rule}).answer(one).target for one in read]
        given = [bool(isinstance(one, Extraction) and one.of("law")) for one in answers]
        wanted = [bool(isinstance(d.target, Extraction) and d.target.of("law")) for d in documents]
        both = sum(a and b for a, b in zip(given, wanted, strict=True))
        return 2.0 * both / (sum(given) + sum(wanted))

    best = max(f1(threshold) for threshold in np.linspace(0.1, 0.9, 17))
    assert f1(decision.rules["law"].threshold) > best - 0.01
    assert f1(0.8) < best - 0.05


def test_a_field_with_few_documents_leans_on_the_others() -> None:
    read, documents = made(2000, slope=0.6, intercept=-0.8)
    few = {3: "right", 7: "right", 11: "wrong"}
    for at, value in few.items():
        read[at] = {**read[at], "party": [found(value, 0.5 * at - 4.0)]}
        documents[at] = row(at, law=["Ohio"], party=["right"])
    decision, _ = fit_decision(read, documents, TWO)
    assert decision.rules["party"].weights[0] > 0.0
    alone, _ = fit_decision(
        [{"party": one.get("party", [])} for one in read], documents, {"party": TWO["party"]}
    )
    assert alone.rules["party"].weights[0] < 0.0  # they say that a lower logit is better


def test_a_field_that_no_document_holds_is_never_answered_lightly() -> None:
    read, documents = made(500, slope=1.0, intercept=0.0)
    decision, facts = fit_decision(read, documents, TWO)
    assert facts["fields"]["party"] == {"values": 0, "found": 0}
    assert decision.rules["party"].threshold == 0.5
    assert (decision.answer({}).scores or {})["party"] > 0.99


def test_where_every_document_holds_a_value_none_is_unlikely_to_be_right() -> None:
    documents = [row(at, law=["Ohio"]) for at in range(30)]
    read = [{"law": [found("Ohio" if at % 3 else "Utah", 2.0)]} for at in range(30)]
    decision, _ = fit_decision(read, documents, ONE)
    assert (decision.answer({}).scores or {})["law"] == pytest.approx(1.0 / 32.0)


def test_without_right_and_wrong_values_the_logits_are_taken_at_their_word() -> None:
    for documents, read in (
        ([], []),
        ([row(0, law=["Ohio"])], [{"law": [found("Ohio", 1.0)]}]),
        ([row(0, law=["Ohio"])], [{}]),
    ):
        decision, facts = fit_decision(read, documents, ONE, min_confidence=0.3)
        assert decision.rules == {"law": PLAIN}
        assert decision.min_confidence == 0.3
        assert facts["rows"] == len(documents)


def test_gold_values_decide_where_there_are_enough_of_them() -> None:
    read, documents = made(60, slope=2.0, intercept=0.0)
    silver = [replace(one, sources=(replace(PERSON, kind="model"),)) for one in documents]
    _, facts = fit_decision(read, [*documents[:30], *silver[30:]], ONE)
    assert (facts["rows"], facts["targets"]) == (30, "gold")
    _, facts = fit_decision(read, [*documents[:10], *silver[10:]], ONE)
    assert (facts["rows"], facts["targets"]) == (60, "silver")
    _, facts = fit_decision(read, [replace(one, target=None) for one in documents], ONE)
    assert (facts["rows"], facts["targets"]) == (0, None)


def test_what_a_teacher_left_open_says_nothing() -> None:
    read, documents = made(200, slope=2.0, intercept=0.0)
    opened = [
        replace(one, target=replace(one.target, unsure=("law",)))
        if at >= 150 and isinstance(one.target, Extraction)
        else one
        for at, one in enumerate(documents)
    ]
    decision, _ = fit_decision(read, opened, ONE)
    expected, _ = fit_decision(read[:150], documents[:150], ONE)
    assert decision == expected
