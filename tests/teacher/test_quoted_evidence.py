from __future__ import annotations

import pytest

from potstill.data import Extraction, Money, Value
from potstill.spec.extraction import FieldSpec
from potstill.teacher import Answer
from potstill.teacher.evidence import look_up, with_evidence

DOCUMENT = (
    "This Agreement is made on 03/04/2005 between NIKE, Inc. (\u201cNike\u201d) and "
    "Zoe\u0308\r\nSA, a company of Delaware. Acme is no party. It lasts for two (2) years. The fee is "
    "$1,250,000 and is due within 30 days in gold."
)
FIELDS = {
    "date": FieldSpec(type="date"),
    "party": FieldSpec(many=True),
    "term": FieldSpec(type="duration"),
    "fee": FieldSpec(type="money"),
    "days": FieldSpec(type="integer"),
    "metal": FieldSpec(type="choice", choices={"gold": [], "silver": []}),
}


def found(name, *claims):
    located, lost = look_up(Extraction({name: claims}), DOCUMENT, FIELDS)
    return located.of(name), [(loss.cause, located.unsure) for loss in lost]


def at(text):
    start = DOCUMENT.index(text)
    return text, start, start + len(text)


def test_the_value_is_found_within_its_evidence_and_not_before_it():
    quoted = "Acme is no party"
    ((value,), lost) = found("party", Value("acme", quoted))
    assert (value, lost) == (Value("acme", *at("Acme")), [])
    ((value,), lost) = found("days", Value("30", "due within 30 days"))
    assert (value, lost) == (Value(30, *at("30")), [])


def test_evidence_is_aligned_over_line_ends_quotes_and_combining_marks():
    ((value,), lost) = found("party", Value("Zo\u00eb SA", 'Nike") and Zo\u00eb SA, a company'))
    assert (value, lost) == (Value("Zo\u00eb SA", *at("Zoe\u0308\r\nSA")), [])


@pytest.mark.parametrize(
    ("name", "given", "normal", "said"),
    [
        ("term", "2 years", "2 years", "two (2) years"),
        ("term", "two years", "2 years", "two (2) years"),
        ("fee", Money("1250000", "USD"), Money("1250000.00", "USD"), "$1,250,000"),
        ("fee", "USD 1250000.00", Money("1250000.00", "USD"), "$1,250,000"),
        ("metal", "gold", "gold", "gold"),
    ],
)
def test_typed_values_take_their_normal_form(name, given, normal, said):
    (start, end) = at(said)[1:]
    evidence = DOCUMENT[start - 4 : end]
    assert found(name, Value(given, evidence)) == ((Value(normal, *at(said)),), [])
    assert found(name, Value(given)) == ((Value(normal),), [])


def test_the_teachers_reading_decides_an_ambiguous_date():
    for said in ("2005-03-04", "2005-04-03"):
        ((value,), lost) = found("date", Value(said, "made on 03/04/2005"))
        assert (value, lost) == (Value(said, *at("03/04/2005")), [])
    assert found("date", Value("2006-03-04", "made on 03/04/2005"))[1] == [
        ("value_not_in_evidence", ("date",))
    ]


@pytest.mark.parametrize(
    ("name", "claim", "cause"),
    [
        ("party", Value("Umbrella", "by and between Umbrella Corporation"), "evidence_not_found"),
        ("party", Value("Umbrella"), "evidence_not_found"),
        ("party", Value("Acme", "between NIKE, Inc."), "value_not_in_evidence"),
        ("party", Value("Acme", None, 5, 9999), "bad_offsets"),
        ("party", Value("Acme", None, -4, 3), "bad_offsets"),
        ("date", Value("soon", "made on 03/04/2005"), "unreadable_value"),
        ("metal", Value("copper", "in gold"), "unreadable_value"),
        ("fee", Value(Money("much"), "The fee is"), "unreadable_value"),
    ],
)
def test_what_the_document_does_not_bear_out_is_lost_with_its_cause(name, claim, cause):
    assert found(name, claim) == ((), [(cause, (name,))])


def test_offsets_count_where_they_fit_and_the_words_where_they_do_not():
    text, start, end = at("Acme")
    assert found("party", Value("Acme", text, start, end)) == (
        (Value("Acme", text, start, end),),
        [],
    )
    assert found("party", Value("Acme", text, 3, 7)) == ((Value("Acme", text, start, end),), [])
    assert found("party", Value("Acme", None, start, end)) == (
        (Value("Acme", text, start, end),),
        [],
    )


def test_values_stand_once_and_in_the_order_of_the_document():
    values, lost = found(
        "party",
        Value("Acme", "Acme is no party"),
        Value("NIKE Inc", "between NIKE, Inc."),
        Value("ACME", "Acme is no"),
    )
    assert ([value.value for value in values], lost) == (["NIKE Inc", "Acme"], [])


def test_of_a_field_that_holds_one_value_a_second_one_makes_unsure():
    values, lost = found("term", Value("2 years"), Value("30 days"))
    assert ([value.value for value in values], lost) == (
        ["2 years"],
        [("several_values", ("term",))],
    )
    assert found("term", Value("2 years"), Value("two years")) == ((Value("2 years"),), [])


def test_a_choice_may_be_said_in_other_words():
    ((value,), lost) = found("metal", Value("silver", "It lasts for"))
    assert (value, lost) == (Value("silver", *at("It lasts for")), [])


def answer(**fields):
    return Answer(teacher="a", target=Extraction(fields), raw="…")


def test_an_answer_stands_without_what_it_lost_unless_it_lost_all():
    claims = {"party": (Value("Acme"), Value("Umbrella")), "term": (Value("2 years"),)}
    settled = with_evidence(answer(**claims), DOCUMENT, FIELDS)
    assert settled.fault is None and settled.target is not None
    assert [value.value for value in settled.target.of("party")] == ["Acme"]
    assert settled.target.unsure == ("party",)
    assert [(loss.field, loss.cause) for loss in settled.lost] == [("party", "evidence_not_found")]
    nothing = with_evidence(answer(party=(Value("Umbrella"),)), DOCUMENT, FIELDS)
    assert (nothing.target, nothing.fault) == (None, "evidence_not_found")
    assert nothing.detail == "party: 'Umbrella' is not in the document"
    assert with_evidence(answer(), DOCUMENT, FIELDS).target == Extraction()


def test_an_answer_without_a_required_value_cannot_be_used():
    fields = FIELDS | {"party": FieldSpec(many=True, required=True)}
    absent = with_evidence(answer(term=(Value("2 years"),)), DOCUMENT, fields)
    assert (absent.target, absent.fault) == (None, "required_missing")
    claims = {"party": (Value("Umbrella"),), "term": (Value("2 years"),)}
    lost = with_evidence(answer(**claims), DOCUMENT, fields)
    assert (lost.target, lost.fault) == (None, "evidence_not_found")


@pytest.mark.parametrize("document", ["", "x", "\ud800", "\u0301"])
def test_documents_of_a_character_or_none(document):
    located, lost = look_up(Extraction({"party": (Value("Acme", "Acme here"),)}), document, FIELDS)
    assert not located.fields and [loss.cause for loss in lost] == ["evidence_not_found"]
