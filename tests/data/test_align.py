import time

import pytest

from potstill.data import Money
from potstill.data.align import locate, locate_text
from potstill.data.values import Convention
from potstill.data.words import Words
from potstill.spec.extraction import FieldSpec

TEXT = FieldSpec()


def said(value, document, spec=TEXT, **options):
    return [document[start:end] for start, end in locate(value, document, spec, **options)]


def quoted(words, document):
    return [document[start:end] for start, end in locate_text(words, document)]


def test_every_mention_and_the_verbatim_one_first():
    document = "NIKE, INC. and Nike Inc. and nike inc"
    assert said("Nike Inc.", document) == ["Nike Inc.", "NIKE, INC.", "nike inc"]


def test_punctuation_at_the_ends_belongs_to_the_mention_where_both_have_it():
    assert said("Nike Inc.", "by NIKE, Inc., an Oregon firm") == ["NIKE, Inc."]
    assert said("Acme LLC", "by ACME LLC. It") == ["ACME LLC"]
    assert said("Green Partners LP", "Green Partners, L.P.\nby") == ["Green Partners, L.P."]
    assert said("Firm \u201cVimpel\u201d", "by FIRM \u201cVIMPEL\u201d,") == [
        "FIRM \u201cVIMPEL\u201d"
    ]


def test_typographic_quotes_line_breaks_and_case_of_a_quotation():
    document = "The \u201cTerm\u201d shall\r\nbe two (2)  years."
    assert quoted('the "term" shall be two (2) years.', document) == [document]


def test_a_small_misspelling_is_forgiven_and_another_figure_is_not():
    document = "signed by ARC COMMUNICATIONS, INC. on 5 May; ARC COMMUNICATIONS, INC. pays"
    assert said("Arc Comunications Inc.", document) == ["ARC COMMUNICATIONS, INC"] * 2
    assert quoted("a fee of 1500 dollars", "pays a fee of 1600 dollars") == []
    assert quoted("a fee of 1500 dolars", "pays a fee of 1500 dollars") == ["a fee of 1500 dollars"]


def test_short_words_are_never_taken_for_misspelt():
    assert said("Texas", "laws of Texan kind") == []


@pytest.mark.parametrize("wanted", ["Acme Corporation of Nowhere", "Sony", "\u7d22\u5c3c"])
def test_what_is_not_there_is_not_found(wanted):
    assert said(wanted, "between Nike Inc. and Eric Dean Sprunk") == []


def test_values_of_a_type_are_found_by_reading():
    document = "As of this 6th of February, 1999, for two (2) years, $5,000 (5000 US dollars)."
    assert said("1999-02-06", document, FieldSpec(type="date")) == ["6th of February, 1999"]
    assert said("2 years", document, FieldSpec(type="duration")) == ["two (2) years"]
    money = said(Money("5000.00", "USD"), document, FieldSpec(type="money"))
    assert money == ["$5,000", "5000 US dollars"]
    assert said(2, document, FieldSpec(type="integer")) == ["two (2)"]
    assert said("1999-02-07", document, FieldSpec(type="date")) == []


def test_a_recorded_date_tells_how_an_ambiguous_one_was_meant():
    document = "Dated 10/11/04"
    assert said("2004-11-10", document, FieldSpec(type="date")) == ["10/11/04"]
    assert said("2004-10-11", document, FieldSpec(type="date")) == ["10/11/04"]
    day_first = Convention(day_first=True)
    assert said("2004-11-10", document, FieldSpec(type="date"), convention=day_first) == [
        "10/11/04"
    ]


def test_choices_by_any_of_their_names():
    spec = FieldSpec(type="choice", choices={"New York": ["NY", "N.Y."], "York": []})
    assert said("New York", "laws of NEW\nYORK, or N.Y.; not York", spec) == ["NEW\nYORK", "N.Y"]
    assert said("York", "laws of NEW\nYORK, or N.Y.; not York", spec) == ["York"]


@pytest.mark.parametrize("document", ["", "x", "\n", "\u0301"])
def test_documents_of_next_to_nothing(document):
    assert said("Acme Corporation", document) == []
    assert said("1999-02-06", document, FieldSpec(type="date")) == []
    assert quoted("?", document) == []


def test_quotations_without_a_word():
    assert quoted("$$", "a $$ b $$") == ["$$", "$$"]
    assert quoted("", "a") == []
    assert quoted("  ", "a") == []


def test_offsets_are_characters_with_carriage_returns_marks_and_mixed_scripts():
    document = "\U0001f600 e\u0301t\u00e9\r\n\u0645\u0631\u062d\u0628\u0627 \u7532\u65b9 Soci\u00e9t\u00e9\r\nG\u00e9n\u00e9rale \ud83d end"
    [(start, end)] = locate("SOCIETE GENERALE", document, TEXT)
    assert document[start:end] == "Soci\u00e9t\u00e9\r\nG\u00e9n\u00e9rale"
    [(start, end)] = locate("\u7532\u65b9", document, TEXT)
    assert document[start:end] == "\u7532\u65b9"
    [(start, end)] = locate("end", document, TEXT)
    assert (start, end) == (len(document) - 3, len(document))


def test_a_document_of_ten_megabytes_is_searched_in_seconds():
    document = "lorem ipsum dolor sit amet, " * 375_000 + "by Acme Holdings, Inc."
    assert len(document) > 10_000_000
    started = time.perf_counter()
    words = Words(document)
    assert [document[s:e] for s, e in locate("Acme Holdings Inc.", words, TEXT)] == [
        "Acme Holdings, Inc."
    ]
    assert [document[s:e] for s, e in locate("Acme Holdngs Inc.", words, TEXT)] == [
        "Acme Holdings, Inc"
    ]
    assert time.perf_counter() - started < 30
