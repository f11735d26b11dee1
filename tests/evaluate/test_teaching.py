"""The part of the report on a live teacher: its data, its words and its pages."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest
from test_report import checked

from potstill.evaluate import (
    AuditionFacts,
    Interval,
    Report,
    Span,
    Spent,
    Way,
    choice_sentence,
    cost_sentence,
    rounds_sentence,
    verdicts,
    write_report,
    yield_sentence,
)
from potstill.evaluate import teaching_words as told
from potstill.evaluate.figures import MINUS
from potstill.evaluate.markdown import markdown
from potstill.evaluate.render import html
from potstill.evaluate.teaching_charts import audition_chart, spending_chart


@pytest.fixture(scope="module")
def report(report_of, teaching_facts):
    return replace(report_of(rows=60), teaching=teaching_facts)


def repriced(teaching, **changes):
    """The same facts, with another sum of what was spent."""
    total = teaching.spending.total
    spent = replace(total.spent, **changes)
    spending = replace(teaching.spending, total=replace(total, spent=spent))
    return replace(teaching, spending=spending)


def test_json_comes_back_as_the_same_report(report, tmp_path):
    write_report(report, tmp_path)
    again = Report.from_json(json.loads((tmp_path / "report.json").read_text()))
    assert again.teaching == report.teaching
    assert html(again) == html(report)


def test_a_report_of_before_there_was_such_a_part_is_read(report_of):
    row = report_of(rows=60).to_json()
    assert row.pop("teaching") is None
    assert Report.from_json(row).teaching is None


def test_recorded_teachers_have_no_such_part(report_of):
    report = report_of(rows=60)
    for page in (html(report), markdown(report)):
        assert "What the teacher did" not in page
        assert "Plan and actual" not in page


def test_every_form_tells_the_same(report):
    page, text = html(report), markdown(report)
    checked(page)
    assert len(page.encode()) < 2_000_000
    for told_of in (
        "6 examples + reasoning",
        "5,530",
        "at least 9.33",
        "7.84 to 17.91",
        "rate limited 41, cut off 7, timed out 3",
        "a pilot of 20 real rows",
        "api.example.com",
        "deepseek-api-2026",
        "intended otherwise 44",
        "71% of their word pairs differ.",
        "the student of round 1 ships",
        "+0.036",
    ):
        assert told_of in page, told_of
        assert told_of in text.replace("\\", ""), told_of


def test_a_step_outside_the_plan_has_a_dash_and_no_zero(report):
    (row,) = [line for line in markdown(report).splitlines() if line.startswith("| judge")]
    assert row.replace(told.UNKNOWN, "?") == "| judge | 40 | ? | 40 | 0 | ? | ? | 0.02 | ? |"


@pytest.mark.parametrize(
    ("spent", "text"),
    [
        (Spent(), "0"),
        (Spent(attempts=2, known_usd=0.001), "<0.01"),
        (Spent(attempts=2, known_usd=1234.5), "1,234.50"),
        (Spent(attempts=2, unknown=2), "not known"),
        (Spent(attempts=2, known_usd=0.5, unknown=1), "at least 0.50"),
    ],
)
def test_an_unknown_price_is_never_zero(spent, text):
    assert told.money_text(spent) == text
    assert (spent.usd is None) == bool(spent.unknown)


def test_the_sentence_on_cost(teaching_facts):
    text = cost_sentence(teaching_facts).replace("\N{NO-BREAK SPACE}", " ")
    assert text == (
        "deepseek-reasoner was asked 5,530 questions in 5,581 calls for USD 9.33, without the "
        "price of 2 calls, which is not known; planned were USD 11.20 (7.84 to 17.91). 21 earlier "
        "calls for this task, whose answers are not paid for twice, had cost USD 0.03."
    )
    unpriced = repriced(teaching_facts, known_usd=0.0, unknown=5581)
    assert "for a price that is not known;" in cost_sentence(unpriced)
    idle = repriced(teaching_facts, requests=0, attempts=0, known_usd=0.0, unknown=0)
    assert cost_sentence(idle).startswith("deepseek-reasoner was asked nothing in this run")
    assert cost_sentence(replace(teaching_facts, spending=None)) == ""


def test_the_verdict_says_when_the_teaching_is_earned_back(report):
    def verdict(**changes):
        facts = repriced(report.teaching, **changes)
        (one,) = [v for v in verdicts(replace(report, teaching=facts)) if "teaching" in v.topic]
        return one

    # 9.36 dollars in all, and 812 less 0.027 dollars for a million answers.
    assert verdict(unknown=0).text.endswith("earned back after 12,000 answers of the student.")
    assert verdict(unknown=0).tone == "plain"
    assert verdict(unknown=0, known_usd=18.0).tone == "bad"
    assert "earned back" not in verdict().text, "a price that is not known earns nothing back"
    assert verdict(known_usd=18.0).tone == "plain"


def test_why_a_way_was_taken(teaching_facts):
    held = teaching_facts.audition
    text = choice_sentence(held)
    assert "5 ways were tried on 60 gold rows of the development split." in text
    assert "the cheapest within one paired standard error of the best" in text
    assert "joined with the nearest gold" in text
    assert "the most frequent answer reaches 0.31" in text
    only = replace(held, ways=held.ways[:1], fused=False, nearest=None)
    assert "the only one that the task leaves open" in choice_sentence(only)
    assert "nearest gold" not in choice_sentence(only)
    ruled = choice_sentence(AuditionFacts(method="bare"))
    assert ruled.startswith("There was too little gold to compare")


def test_an_audition_by_rule_has_no_chart_and_no_table(report):
    facts = replace(report.teaching, audition=AuditionFacts(method="bare"))
    page = html(replace(report, teaching=facts))
    checked(page)
    assert "too little gold" in page
    assert "Ways of asking" not in page and "Way of asking" not in page


def test_all_right_can_be_drawn():
    sure = Way(name="bare", accuracy=Interval(1.0, 1.0, 1.0), chosen=True)
    assert "<svg" in audition_chart(AuditionFacts(method="bare", rows=12, ways=(sure,)))


def test_no_chart_of_money_where_there_is_none(teaching_facts):
    free = tuple(
        replace(
            step,
            spent=replace(step.spent, known_usd=0.0, unknown=0),
            planned=step.planned and replace(step.planned, usd=Span(0.0, 0.0, 0.0)),
        )
        for step in teaching_facts.spending.steps
    )
    assert spending_chart(replace(teaching_facts.spending, steps=free)) is None


def test_the_sentence_on_what_was_written(teaching_facts):
    made = teaching_facts.synthesis
    assert yield_sentence(made).startswith("361 of 400 wanted rows were kept, of 472 texts")
    assert "Rejected" not in yield_sentence(replace(made, rejected={}))


def test_the_sentence_on_rounds_that_brought_nothing(teaching_facts):
    first, second, third = teaching_facts.rounds
    lost = (replace(first, chosen=True), replace(second, chosen=False), third)
    assert "no student was better" in rounds_sentence(lost)
    assert "the student of round 1 ships" in rounds_sentence(teaching_facts.rounds)


def test_gain_for_a_dollar_has_its_sign(teaching_facts):
    _, second, third = teaching_facts.rounds
    priced = [replace(second, gain_per_usd=value) for value in (0.0357, 0.0, -0.012)]
    assert [told.gain_price(one) for one in priced] == ["+0.036", "0", f"{MINUS}0.012"]
    assert told.gain_price(third) == told.UNKNOWN


def test_names_of_the_user_s_are_escaped(report):
    facts = replace(report.teaching, model="<b>x|y</b>", terms="<script>")
    page = html(replace(report, teaching=facts))
    checked(page)
    assert "<b>x|y" not in page and "<script" not in page
    assert "\\<b\\>x\\|y" in markdown(replace(report, teaching=facts))
