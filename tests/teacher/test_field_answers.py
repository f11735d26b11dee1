from __future__ import annotations

import json

import pytest

from potstill.data import Money, Value
from potstill.teacher.field_answers import FieldReader

NAMES = ("effective_date", "party", "fee")
PARTY = {"party": (Value("Acme Inc."),)}


def read(raw):
    found = FieldReader(NAMES).read(raw)
    return None if found is None else dict(found.fields)


@pytest.mark.parametrize(
    "raw",
    [
        {"party": "Acme Inc."},
        {"party": ["Acme Inc."]},
        {"fields": {"party": [{"value": "Acme Inc."}]}},
        {"fields": {"Party": " Acme Inc. ", "effective-date": None, "fee": []}},
        {"thought": "Two sign.", "fields": {"party": "Acme Inc."}},
        '{"party": "Acme Inc."}',
        'Here it is:\n```json\n{"party": "Acme Inc."}\n```\nShall I go on?',
        'The fields are {"party": "Acme Inc."}, I think.',
        {"party": [{"value": "Acme Inc.", "evidence": ""}, {"value": "", "evidence": ""}]},
    ],
)
def test_one_value_in_all_the_ways_to_give_it(raw):
    assert read(raw) == PARTY


def test_evidence_and_offsets_are_kept_as_they_were_claimed():
    span = {"field": "party", "text": "Acme, Inc.", "start": 4, "end": 14}
    assert read([span]) == {"party": (Value("Acme, Inc.", "Acme, Inc.", 4, 14),)}
    entry = {"value": "Acme Inc.", "evidence": "between Acme, Inc. and"}
    assert read({"party": [entry]}) == {"party": (Value("Acme Inc.", "between Acme, Inc. and"),)}
    assert read({"party": [{"evidence": "Acme", "value": ""}]}) == {
        "party": (Value("Acme", "Acme"),)
    }


def test_amounts_numbers_and_truths():
    assert read({"fee": {"amount": 1250.5, "currency": "USD"}}) == {
        "fee": (Value(Money("1250.5", "USD")),)
    }
    assert read({"fee": {"value": {"amount": "7"}, "text": "seven"}}) == {
        "fee": (Value(Money("7"), "seven"),)
    }
    assert read({"fee": [3, 2.0, True]}) == {"fee": (Value(3), Value("2"), Value("true"))}


def test_no_value_at_all_is_an_answer():
    assert read({}) == {} == read("{}") == read([]) == read({"fields": {"party": None}})


@pytest.mark.parametrize(
    "raw",
    [
        {"partys": ["Acme Inc."]},  # what is misspelt would count as absent
        {"party": ["Acme Inc."], "comment": "sure"},
        "Acme Inc.",
        '"Acme Inc."',
        ["Acme Inc."],
        [{"text": "Acme Inc."}],
        {"party": [["Acme Inc."]]},
        {"party": {"start": 1, "end": 2}},
        {"party": {"value": "Acme", "start": "1"}},
        {"party": {"value": "Acme", "evidence": 7}},
        {"party": {"value": "Acme", "start": True, "end": 4}},
        7,
        None,
    ],
)
def test_what_is_no_answer_of_fields(raw):
    assert read(raw) is None


def test_of_several_readings_the_first_that_fits_counts():
    raw = f"{json.dumps({'party': 'Acme Inc.'})}\n```json\n{json.dumps({'party': 'Beta'})}\n```"
    assert read(raw) == {"party": (Value("Beta"),)}
