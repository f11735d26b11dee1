from __future__ import annotations

import pytest

from potstill.data import Extraction, Value
from potstill.spec.extraction import FieldSpec
from potstill.teacher import Answer
from potstill.teacher.field_votes import agree_on_fields, likeness

FIELDS = {"party": FieldSpec(many=True), "term": FieldSpec(type="duration"), "law": FieldSpec()}


def says(teacher="a", *, unsure=(), **fields):
    """An answer; `fields` are values, or several of them."""
    found = {
        name: tuple(
            v if isinstance(v, Value) else Value(v)
            for v in ([said] if not isinstance(said, list) else said)
        )
        for name, said in fields.items()
    }
    return Answer(teacher=teacher, target=Extraction(found, tuple(unsure)), raw="…")


def agree(*answers):
    """The verdict on one document: what it says, with shares, what is unsure, and the soft target."""
    (verdict,) = agree_on_fields([answers], FIELDS).verdicts
    said = {
        name: {v.value: v.confidence for v in values}
        for name, values in verdict.target.fields.items()
    }
    return said, verdict.target.unsure, verdict.soft


def test_one_answer_is_taken_as_it_is():
    said, unsure, soft = agree(says(party=["Acme", "Beta"], term="2 years"))
    assert said == {"party": {"Acme": None, "Beta": None}, "term": {"2 years": None}}
    assert (unsure, soft) == ((), None)


def test_what_one_answer_lost_stays_unsure():
    said, unsure, soft = agree(says(party=["Acme"], unsure=["party", "law"]))
    assert (said, unsure, soft) == ({"party": {"Acme": None}}, ("party", "law"), None)


def test_a_value_has_the_share_of_the_answers_that_give_it():
    said, unsure, soft = agree(
        says(party=["Acme", "Beta"], term="2 years"),
        says(party=["ACME", "Beta", "Gamma"], term="2  Years"),
        says(party=["Acme"], term="3 years", law="Ohio"),
    )
    assert said == {
        "party": {"Acme": 1.0, "Beta": pytest.approx(2 / 3)},
        "term": {"2 years": pytest.approx(2 / 3)},
    }
    # Acme by all, Beta by two, Gamma by one: agreement on the field is the mean of 1, 2/3, 2/3.
    assert soft == pytest.approx({"party": 7 / 9, "term": 2 / 3, "law": 2 / 3})
    assert unsure == ()


def test_where_no_value_has_more_than_half_the_field_is_unsure():
    said, unsure, soft = agree(says(term="1 year"), says(term="2 years"), says())
    assert said == {"term": {"1 year": pytest.approx(1 / 3)}}
    assert unsure == ("term",) and soft["term"] == pytest.approx(1 / 3)
    said, unsure, _ = agree(says(law="Ohio"), says())
    assert (said, unsure) == ({"law": {"Ohio": 0.5}}, ("law",))
    said, unsure, soft = agree(says(law="Ohio"), says(), says())
    assert (said, unsure, soft["law"]) == ({}, (), pytest.approx(2 / 3))


def test_who_lost_a_value_denies_none():
    said, unsure, _ = agree(
        says(party=["Acme"], unsure=["party"]), says(party=["Beta"]), says(party=["Beta", "Acme"])
    )
    assert said == {"party": {"Beta": 1.0, "Acme": pytest.approx(2 / 3)}}
    assert unsure == ()
    said, unsure, _ = agree(says(unsure=["law"]), says(unsure=["law"], law="Ohio"))
    assert (said, unsure) == ({"law": {"Ohio": 1.0}}, ("law",))
    said, unsure, soft = agree(says(unsure=["law"]), says(unsure=["law"]))
    assert (said, unsure, soft["law"]) == ({}, ("law",), 0.0)


def test_of_equal_values_the_most_frequent_writing_with_a_place_stands():
    placed, elsewhere = Value("Ohio", "Ohio", 40, 44), Value("Ohio", "Ohio", 90, 94)
    answers = [says(law=law) for law in (elsewhere, "OHIO", placed, "OHIO", "OHIO", placed)]
    (verdict,) = agree_on_fields([answers], FIELDS).verdicts
    assert verdict.target.of("law") == (Value("Ohio", "Ohio", 40, 44, confidence=1.0),)


def test_values_stand_in_the_order_of_the_document():
    first, second = Value("Beta", "Beta", 3, 7), Value("Acme", "Acme", 30, 34)
    (verdict,) = agree_on_fields([[says(party=[second, first])] * 2], FIELDS).verdicts
    assert [value.value for value in verdict.target.of("party")] == ["Beta", "Acme"]


def test_unusable_answers_do_not_vote():
    broken = Answer(teacher="a", target=None, raw="", fault="failed")
    (nobody, somebody) = agree_on_fields([[broken], [broken, says(law="Ohio")]], FIELDS).verdicts
    assert nobody is None
    assert somebody.target.of("law") == (Value("Ohio"),)


def test_a_teacher_that_others_contradict_has_less_say():
    rows = []
    for number in range(30):
        truth, wrong = f"{number} years", f"{number + 1} months"
        rows.append(
            [
                says("good", term=truth, party=["Acme"]),
                says("fair", term=truth if number % 5 else wrong, party=["Acme"]),
                says("lost", term=wrong, party=["Umbrella"]),
            ]
        )
    rows.append([says("good", law="Ohio"), says("lost", law="Iowa")])
    found = agree_on_fields(rows, FIELDS)
    assert found.accuracy["good"] > found.accuracy["fair"] > found.accuracy["lost"]
    assert sum(found.weights.values()) == pytest.approx(1.0)
    assert [v.target.of("term")[0].value for v in found.verdicts[:30]] == [
        f"{number} years" for number in range(30)
    ]
    (law,) = found.verdicts[-1].target.of("law")
    assert law.value == "Ohio" and law.confidence > 0.9
    assert found.verdicts[-1].target.unsure == ()


def test_votes_of_one_teacher_weigh_no_more_than_one():
    (verdict,) = agree_on_fields(
        [[says("a", law="Ohio")] * 3 + [says("b", law="Iowa"), says("c", law="Iowa")]], FIELDS
    ).verdicts
    assert verdict.target.of("law")[0].value == "Iowa"


def test_likeness_is_the_share_of_fields_that_say_the_same():
    one = says(party=["Acme", "Beta"], term="2 years", law="Ohio").target
    other = says(party=["beta", "ACME"], term="3 years").target
    assert likeness(one, other, FIELDS) == pytest.approx(1 / 3)
    assert likeness(one, one, FIELDS) == 1.0 == likeness(Extraction(), Extraction(), FIELDS)
    unsure = says(party=["Acme"], term="2 years", law="Ohio", unsure=["party"]).target
    assert likeness(one, unsure, FIELDS) == 1.0


def test_one_name_in_two_writings_is_one_value_and_two_figures_are_two():
    said, unsure, _ = agree(
        says(law="NIKE, Inc."), says(law="Nike Incorporated"), says(law="Nike Inc")
    )
    assert (list(said["law"].values()), unsure) == ([1.0], ())
    said, unsure, _ = agree(says(party=["1.5 %"]), says(party=["15 %"]))
    assert said == {"party": {"1.5 %": 0.5, "15 %": 0.5}}
