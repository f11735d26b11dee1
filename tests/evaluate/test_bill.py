"""The monthly bill: whole cores that run all month, beside the teacher."""

from __future__ import annotations

import json
import math
from dataclasses import replace

import pytest

from potstill.errors import DataError
from potstill.evaluate import Interval, Latency, Report, Selective, monthly_bill, verdicts
from potstill.evaluate.markdown import markdown
from potstill.evaluate.render import html


def test_whole_cores_are_paid_all_month():
    # 5 ms an answer, a core half busy: 262.8 million answers a month and core.
    bill = monthly_bill(5.0, usd_per_core_hour=0.05, busy=0.5)
    assert [month.requests for month in bill.months] == [1_000_000, 10_000_000, 100_000_000]
    assert [month.cores for month in bill.months] == [1, 1, 1]
    assert all(month.usd == pytest.approx(36.5) for month in bill.months)
    assert bill.answers_per_second == pytest.approx(200.0)


@pytest.mark.parametrize(("ms", "busy", "cores"), [(13.14, 0.5, 1), (13.15, 0.5, 2), (50, 1.0, 2)])
def test_another_core_is_rented_where_one_is_full(ms, busy, cores):
    last = monthly_bill(ms, usd_per_core_hour=0.10, busy=busy).months[-1]
    assert last.cores == cores == math.ceil(1e8 * ms / (busy * 730 * 3_600_000))
    assert last.usd == pytest.approx(cores * 73.0)


def test_the_teacher_charges_for_everything_or_for_what_is_deferred():
    bill = monthly_bill(5.0, teacher="big", teacher_usd_per_million=1_500, deferred=0.1)
    assert [month.teacher_usd for month in bill.months] == pytest.approx([1_500, 15_000, 150_000])
    assert [month.deferred_usd for month in bill.months] == pytest.approx([150, 1_500, 15_000])
    assert (
        monthly_bill(5.0, teacher="big", teacher_usd_per_million=9).months[0].deferred_usd is None
    )


def test_a_teacher_without_a_price_is_not_named():
    bill = monthly_bill(5.0, teacher="big", deferred=0.1)
    assert bill.teacher is None
    assert {(month.teacher_usd, month.deferred_usd) for month in bill.months} == {(None, None)}


@pytest.mark.parametrize(
    "wrong",
    [{"ms": 0.0}, {"busy": 0.0}, {"busy": 1.5}, {"deferred": 2.0}, {"usd_per_core_hour": -1}],
)
def test_impossible_figures_are_refused(wrong):
    with pytest.raises(DataError, match="no bill"):
        monthly_bill(**{"ms": 5.0, **wrong})


def timed(report: Report, mean_ms: float | None, deferred: float | None = None) -> Report:
    evaluation = report.student.evaluation
    if deferred is not None:
        share = Interval(value=1 - deferred, low=0.0, high=1.0)
        selective = Selective(
            n=evaluation.n, answered=1, coverage=share, error=Interval(value=0.0, low=0.0, high=1.0)
        )
        evaluation = replace(evaluation, selective=selective)
    latency = Latency(p50_ms=1.0, p95_ms=3.0, p99_ms=9.0, n=100, mean_ms=mean_ms)
    student = replace(report.student, latency=latency, evaluation=evaluation)
    return replace(report, entries=(student, *report.entries[1:]))


def test_throughput_is_of_the_mean_not_of_the_median(report_of):
    assert timed(report_of(), 2.0).bill.answers_per_second == pytest.approx(500.0)
    assert timed(report_of(), None).bill.answers_per_second == pytest.approx(1_000.0)
    assert Latency.of_seconds([0.001, 0.001, 0.004]).mean_ms == pytest.approx(2.0)


def test_a_student_that_was_not_timed_has_no_bill(report_of):
    report = report_of()
    untimed = replace(report.student, latency=None)
    lean = replace(report, entries=(untimed, *report.entries[1:]))
    assert lean.bill is None
    assert lean.to_json()["bill"] is None
    assert "What a month of answers costs" not in html(lean)
    assert "Monthly bill" not in markdown(lean)


def test_the_bill_is_on_every_page(report_of):
    report = timed(report_of(), 20.0)
    bill = report.to_json()["bill"]
    assert bill["teacher"] == report.teacher.name
    assert [month["cores"] for month in bill["months"]] == [1, 1, 2]
    for page in (html(report), markdown(report)):
        assert "100,000,000" in page
        assert "50 answers a second" in page
        assert "50% of them" in page
    again = Report.from_json(json.loads(json.dumps(report.to_json())))
    assert again.bill == report.bill


def test_what_is_deferred_is_priced_too(report_of):
    report = timed(report_of(), 20.0, deferred=0.1)
    month = report.bill.months[0]
    assert month.deferred_usd == pytest.approx(0.1 * month.teacher_usd)
    said = next(verdict for verdict in verdicts(report) if verdict.topic == "Monthly bill")
    assert "10.0% that the student leaves to others" in said.text
    assert said.tone == "good"
    for page in (html(report), markdown(report)):
        assert "on what it defers" in page


def test_a_student_dearer_than_its_teacher_is_said_to_be(report_of):
    report = timed(report_of(), 20.0)
    cheap = replace(report.teacher, usd_per_million=0.001)
    dearer = replace(
        report,
        entries=tuple(cheap if entry is report.teacher else entry for entry in report.entries),
    )
    said = next(verdict for verdict in verdicts(dearer) if verdict.topic == "Monthly bill")
    assert said.tone == "bad"
