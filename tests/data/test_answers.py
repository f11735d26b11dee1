import json

import pytest

from potstill.data import Example, Extraction, Money, Text, Value, target_from_json, target_to_json
from potstill.data.answers import RowFault, extraction_reader, label_reader, text_reader
from potstill.data.reading import read_examples
from potstill.errors import DataError
from potstill.spec.extraction import FieldSpec
from potstill.spec.task import Columns

FIELDS = {
    "party": FieldSpec(many=True),
    "effective_date": FieldSpec(type="date"),
    "fee": FieldSpec(type="money"),
    "people": FieldSpec(type="integer"),
    "state": FieldSpec(type="choice", choices={"New York": ["NY"], "Oregon": []}),
}
TEXT = "NIKE, Inc. and Eric Sprunk agree as of April 18, 2001 in NY on US$5,000 for 3 men."


def read(cell, document=TEXT):
    return extraction_reader(FIELDS)(cell, document)


def fault(cell, document=TEXT):
    with pytest.raises(RowFault) as caught:
        read(cell, document)
    return caught.value.cause


def test_values_without_places_stay_without():
    found = read({"party": ["Nike Inc.", "Eric Sprunk"], "effective_date": ["2001-04-18"]})
    assert found == Extraction(
        {
            "party": (Value("Nike Inc."), Value("Eric Sprunk")),
            "effective_date": (Value("2001-04-18"),),
        }
    )


def test_scalars_are_brought_into_the_normal_form_of_their_type():
    found = read(
        {
            "effective_date": "18 April 2001",
            "fee": {"amount": "5000", "currency": "USD"},
            "people": 3.0,
            "state": "ny",
            "party": "Nike Inc.",
        }
    )
    assert {name: values[0].value for name, values in found.fields.items()} == {
        "party": "Nike Inc.",
        "effective_date": "2001-04-18",
        "fee": Money("5000.00", "USD"),
        "people": 3,
        "state": "New York",
    }


def test_null_and_an_empty_list_say_that_a_field_is_absent():
    assert read({"party": None, "fee": [], "state": [None]}) == Extraction()
    assert read({"party": " ", "fee": "", "state": [""]}) == Extraction()
    assert read({}) == read([]) == Extraction()


def test_spans_with_offsets_and_text():
    spans = [
        {"field": "party", "start": 15, "end": 26, "text": "Eric Sprunk"},
        {"field": "party", "start": 0, "end": 10},
        {"field": "people", "start": 76, "end": 77},
        {"field": "fee", "start": 63, "end": 71, "text": "US$5,000"},
    ]
    found = read(spans)
    assert found.of("party") == (
        Value("NIKE, Inc.", "NIKE, Inc.", 0, 10),
        Value("Eric Sprunk", "Eric Sprunk", 15, 26),
    )
    assert found.of("people") == (Value(3, "3", 76, 77),)
    assert found.of("fee") == (Value(Money("5000.00", "USD"), "US$5,000", 63, 71),)
    assert list(found.fields) == ["party", "fee", "people"]


def test_evidence_without_offsets_is_located_and_a_value_of_its_own_is_kept():
    found = read({"party": [{"value": "Nike Inc.", "evidence": "nike inc."}]})
    assert found.of("party") == (Value("Nike Inc.", "NIKE, Inc.", 0, 10),)
    found = read({"effective_date": {"text": "April 18,\n2001"}})
    assert found.of("effective_date") == (Value("2001-04-18", "April 18, 2001", 39, 53),)


TERM = {
    "term": FieldSpec(type="duration"),
    "fee": FieldSpec(type="money"),
    "day": FieldSpec(type="date"),
}


@pytest.mark.parametrize(
    ("name", "value", "words"),
    [
        ("term", "24 months", "two (2) years"),
        ("term", "2 months", "60 days"),
        ("fee", "5000 USD", "5,000"),
        ("day", "2004-11-10", "10/11/04"),
        ("day", "2004-10-11", "10/11/04"),
        ("day", "2004-10-11", "the day of signing"),
    ],
)
def test_evidence_may_say_a_value_in_another_way(name, value, words):
    found = extraction_reader(TERM)({name: {"value": value, "text": words}}, f"So {words}.")
    assert len(found.of(name)) == 1


@pytest.mark.parametrize(
    ("name", "value", "words"),
    [
        ("term", "5 years", "two years"),
        ("fee", "500 USD", "5,000"),
        ("fee", "5000 USD", "€5,000"),
        ("day", "2004-11-12", "10/11/04"),
    ],
)
def test_a_value_that_its_evidence_contradicts_is_refused(name, value, words):
    with pytest.raises(RowFault, match=f"{words!r} does not say") as caught:
        extraction_reader(TERM)({name: {"value": value, "text": words}}, f"So {words}.")
    assert caught.value.cause == "evidence_contradicts"


@pytest.mark.parametrize(
    ("cell", "words"),
    [
        (["Nike"], "a list of which an item is the text 'Nike': wanted is an object of fields"),
        ([{"field": "party", "start": "0", "end": 4}], "'start' is '0', and no whole number"),
        ({"party": {"a": {"b": 1}}}, "'party' holds an object with 'a': wanted is one value"),
        (
            {"party": [["list", "lists"]]},
            "'party' holds a list of which an item is the text 'list'",
        ),
    ],
)
def test_a_fault_says_what_is_wanted(cell, words):
    with pytest.raises(RowFault) as caught:
        read(cell)
    assert words in caught.value.detail


def test_a_cell_of_csv_holds_json():
    assert read('{"party": ["Nike Inc."]}') == read({"party": ["Nike Inc."]})


@pytest.mark.parametrize(
    ("cell", "cause"),
    [
        (None, "no_fields"),
        ("Nike", "bad_fields"),
        (["Nike"], "bad_fields"),
        (7, "bad_fields"),
        ({"parties": ["Nike Inc."]}, "unknown_field"),
        ([{"field": "partie", "start": 0, "end": 4}], "unknown_field"),
        ([{"field": "party", "text": "Adidas AG"}], "evidence_not_found"),
        ([{"field": "party", "start": 0, "end": 500}], "bad_offsets"),
        ([{"field": "party", "start": -4, "end": 4}], "bad_offsets"),
        ([{"field": "party", "start": 4, "end": 4}], "bad_offsets"),
        ([{"field": "party", "start": 0}], "bad_offsets"),
        ([{"field": "party", "start": "0", "end": "4"}], "bad_offsets"),
        ([{"field": "party", "start": True, "end": 4}], "bad_offsets"),
        ([{"field": "party", "start": 1, "end": 10, "text": "NIKE, Inc."}], "evidence_mismatch"),
        ({"effective_date": "as soon as possible"}, "unreadable_value"),
        ({"effective_date": "2001-02-30"}, "unreadable_value"),
        ({"state": "Utah"}, "unreadable_value"),
        ({"people": "some"}, "unreadable_value"),
        ({"party": [{}]}, "bad_value"),
        ({"party": [["list", "lists"]]}, "bad_value"),
        ({"party": {"a": {"b": 1}}}, "bad_value"),
        ({"party": {"value": {"b": 1}}}, "bad_value"),
        ({"party": {"value": ["a"]}}, "bad_value"),
        (
            {"effective_date": {"value": "2002-04-18", "text": "April 18, 2001"}},
            "evidence_contradicts",
        ),
        ({"people": [3, 4]}, "several_values"),
        (
            [{"field": "party", "start": 0, "end": 10}, {"field": "party", "start": 5, "end": 20}],
            "overlapping_spans",
        ),
    ],
)
def test_what_cannot_be_used_has_a_cause(cell, cause):
    assert fault(cell) == cause


def test_values_of_two_fields_may_share_their_words():
    spans = [
        {"field": "party", "start": 39, "end": 53},
        {"field": "effective_date", "start": 39, "end": 53},
    ]
    assert read(spans).of("effective_date")[0].value == "2001-04-18"


@pytest.mark.parametrize(
    "document",
    [
        "x",
        "\U0001f600 e\u0301\r\n\u7532\u65b9\u4e59",
        "\u0645\u0631\u062d\u0628\u0627 \ud83d \u00e9",
    ],
)
def test_offsets_are_characters_in_any_document(document):
    for start in range(len(document)):
        cell = [{"field": "party", "start": start, "end": len(document)}]
        piece = document[start:]
        if piece.strip():
            assert read(cell, document).of("party")[0].text == piece
        else:
            assert fault(cell, document) == "unreadable_value"
    assert (
        fault([{"field": "party", "start": 0, "end": len(document) + 1}], document) == "bad_offsets"
    )


def test_offsets_count_in_the_first_of_several_named_inputs():
    spans = [{"field": "party", "start": 0, "end": 4, "text": "Nike"}]
    assert extraction_reader(FIELDS)(spans, {"text": "Nike", "asked": "who"}).of("party")
    assert fault(spans, {"asked": "who", "text": "Nike"}) == "bad_offsets"


def test_texts_are_one_or_several_that_are_equally_right():
    assert text_reader(" a short one ", "x") == Text("a short one")
    assert text_reader(["one", " ", "two"], "x") == Text("one", ("two",))
    for cell in (None, "", [], [" "], 7):
        with pytest.raises(RowFault, match="no text"):
            text_reader(cell, "x")


def test_labels_as_they_are_written():
    assert label_reader(multilabel=False)(" yes ", "x") == "yes"
    assert label_reader(multilabel=False)(True, "x") == "true"
    assert label_reader(multilabel=True)("a, b,", "x") == ("a", "b")
    assert label_reader(multilabel=True)([1, 2.0], "x") == ("1", "2")
    assert label_reader(multilabel=True)([], "x") == ()
    for several in (False, True):
        with pytest.raises(RowFault):
            label_reader(multilabel=several)(None, "x")


def write(path, *rows):
    path.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    return path


def test_a_file_of_which_one_row_is_unusable(tmp_path):
    path = write(
        tmp_path / "gold.jsonl",
        {"id": "a", "text": TEXT, "fields": {"party": ["Nike Inc."]}},
        {"id": "b", "text": "short", "fields": [{"field": "party", "start": 0, "end": 9}]},
        {"id": "c", "text": "other"},
        {"id": "d", "text": "no fields here", "fields": {}},
    )
    columns = Columns(target="fields")
    reading = read_examples([path], columns, targets=extraction_reader(FIELDS))
    assert [example.id for example in reading.examples] == ["a", "d"]
    assert [(lost.id, lost.cause) for lost in reading.rejected] == [
        ("b", "bad_offsets"),
        ("c", "no_fields"),
    ]
    assert "gold.jsonl:2, column 'fields': 'party': 0-9 is no part of a text of 5" in (
        reading.rejected[0].detail
    )
    assert all(lost.example is not None for lost in reading.rejected)


def test_a_file_of_which_no_row_is_usable(tmp_path):
    path = write(tmp_path / "gold.jsonl", *[{"text": "a", "fields": {"parties": ["x"]}}] * 2)
    columns = Columns(target="fields")
    with pytest.raises(DataError, match=r"none of the 2 rows can be used.*did you mean 'party'\?"):
        read_examples([path], columns, targets=extraction_reader(FIELDS))
    path = write(tmp_path / "none.jsonl", {"text": "a", "fields": None})
    with pytest.raises(DataError, match="none of the 1 rows holds fields in column 'fields'"):
        read_examples([path], columns, targets=extraction_reader(FIELDS))


def test_targets_come_back_from_json():
    for target in (
        read([{"field": "fee", "start": 63, "end": 71}]),
        read({"people": 3}),
        Text("one", ("two",)),
        ("a", "b"),
        "a",
        None,
    ):
        assert target_from_json(json.loads(json.dumps(target_to_json(target)))) == target
        example = Example(id="1", input="x", target=target)
        assert Example.from_json(json.loads(json.dumps(example.to_json()))) == example
