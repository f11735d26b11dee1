import json

import pytest

from potstill.data.values import Convention, learn_convention, read_value
from potstill.spec.extraction import FieldSpec

TEXT, DATE = FieldSpec(), FieldSpec(type="date")
PAIRS = [
    ("NIKE, Inc.", "Nike Inc."),
    ("Dolby Laboratories, Inc.", "Dolby Laboratories Inc."),
    ("Heidrick & Struggles, Inc.", "Heidrick and Struggles Inc."),
    ("Leonard Green &\nPartners, L.P.", "Leonard Green and Partners LP"),
    ("APOLLO MANAGEMENT VII, L.P.", "Apollo Management Vii LP"),
    ("GTCR LLC", "Gtcr LLC"),
    ("AGS L.L .C.", "Ags LLC"),
    ("BIOSITE INCORPORATED", "Biosite Inc."),
    ("Vertex Pharmaceuticals Incorporated", "Vertex Pharmaceuticals Inc."),
    ("Eric Dean Sprunk", "Eric Dean Sprunk"),
]


def test_what_is_learnt_from_the_records_of_some_firms_holds_for_others():
    learnt = learn_convention(PAIRS, TEXT)
    assert set(learnt.steps) == {"close_up", "and_in_words", "without_commas", "in_title_case"}
    assert learnt.words["lp"] == "LP"
    assert learnt.words["incorporated"] == "Inc."
    assert [learnt.write(evidence) for evidence, _ in PAIRS] == [value for _, value in PAIRS]
    others = {
        "J. CREW\r\nGROUP, Inc.": "J. Crew Group Inc.",
        "W&L Enterprises, L.P": "W and L Enterprises LP",
        "Coupa Software Incorporated": "Coupa Software Inc.",
        "UBS Securities LLC": "Ubs Securities LLC",
    }
    for evidence, value in others.items():
        assert read_value(evidence, TEXT, learnt) == value


def test_records_that_say_what_the_text_says_teach_nothing():
    pairs = [(name, name) for name in ("New York", "Delaware", "IBM & Sons, Ltd.", "the Hague")]
    assert learn_convention(pairs, TEXT) == Convention()
    assert learn_convention([], TEXT) == Convention()
    assert Convention().write(" New\r\n York ") == "New York"


@pytest.mark.parametrize(
    ("step", "evidence", "value"),
    [
        ("in_lower_case", "6 A.M.", "6 a.m."),
        ("in_upper_case", "Delaware", "DELAWARE"),
        ("and_as_sign", "Procter and Gamble", "Procter & Gamble"),
        ("without_article", "the Company", "Company"),
        ("without_last_stop", "Nike Inc.", "Nike Inc"),
    ],
)
def test_each_step_is_learnt_where_it_helps(step, evidence, value):
    learnt = learn_convention([(evidence, value)], TEXT)
    assert learnt.steps == (step,)
    assert learnt.write(evidence) == value


def test_a_word_that_is_rewritten_once_or_half_the_time_is_left():
    once = [("Acme Gesellschaft", "Acme GmbH"), ("Bolt Werk", "Bolt Werk")]
    assert learn_convention(once, TEXT).words == {}
    half = [("A Co", "A Company"), ("B Co", "B Company"), ("C Co", "C Co"), ("D Co", "D Co")]
    assert learn_convention(half, TEXT).words == {}


def test_the_order_of_day_and_month_is_learnt_from_dates():
    day_first = [("03/04/2005", "2005-04-03"), ("25/12/2004", "2004-12-25")]
    learnt = learn_convention(day_first, DATE)
    assert learnt == Convention(day_first=True)
    assert read_value("01/02/2006", DATE, learnt) == "2006-02-01"
    assert learn_convention([("May 5, 2005", "2005-05-05")], DATE).day_first is None


def test_values_of_a_type_have_one_form_and_nothing_to_learn():
    pairs = [("two (2) years", "2 years"), ("two years", "2 years")]
    assert learn_convention(pairs, FieldSpec(type="duration")) == Convention()


def test_a_convention_comes_back_from_json():
    for learnt in (
        learn_convention(PAIRS, TEXT),
        Convention(day_first=False),
        Convention(inside_words=True),
    ):
        assert Convention.from_json(json.loads(json.dumps(learnt.to_json()))) == learnt
