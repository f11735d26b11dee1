"""The report: its data, its words and its pages."""

from __future__ import annotations

import json
import re
import subprocess
import sys
import xml.etree.ElementTree as ElementTree
from dataclasses import replace
from html.parser import HTMLParser

import pytest

from potstill.errors import DataError, StorageError
from potstill.evaluate import (
    TFIDF,
    Report,
    TaskFacts,
    headline,
    verdicts,
    worst_mistakes,
    write_report,
)
from potstill.evaluate.figures import dollars, milliseconds
from potstill.evaluate.markdown import markdown
from potstill.evaluate.render import html
from potstill.evaluate.svg import nice_ticks
from potstill.evaluate.wording import bound

VOID = {"meta", "wbr", "br", "link"}


class Checker(HTMLParser):
    """Fails on a tag that is not closed, and keeps what was seen."""

    def __init__(self) -> None:
        super().__init__()
        self.open: list[str] = []
        self.seen: list[str] = []
        self.ids: list[str] = []

    def handle_starttag(self, tag, attrs):
        self.seen.append(tag)
        self.ids += [value for name, value in attrs if name == "id"]
        assert not any(name.startswith("on") for name, _ in attrs)
        assert not any(name in {"src", "href"} for name, _ in attrs)
        if tag not in VOID:
            self.open.append(tag)

    def handle_endtag(self, tag):
        assert self.open.pop() == tag


def checked(page: str) -> Checker:
    checker = Checker()
    checker.feed(page)
    assert checker.open == []
    assert len(checker.ids) == len(set(checker.ids))
    assert "script" not in checker.seen
    for piece in page.split("<svg")[1:]:
        ElementTree.fromstring("<svg" + piece.split("</svg>")[0] + "</svg>")
    return checker


def bare(report: Report) -> Report:
    evaluation = replace(report.student.evaluation, calibration=None, coverage=())
    student = replace(report.student, evaluation=evaluation, latency=None, usd_per_million=None)
    return Report(task=report.task, entries=(student,))


def test_json_comes_back_as_the_same_report(report_of, tmp_path):
    for report in (report_of(), bare(report_of()), report_of(multilabel=True)):
        write_report(report, tmp_path)
        again = Report.from_json(json.loads((tmp_path / "report.json").read_text()))
        assert again == replace(
            report, comparisons=tuple(one.without_rows() for one in report.comparisons)
        )
        assert html(again) == html(report)


def test_foreign_json_is_refused(report_of):
    with pytest.raises(DataError, match="format None"):
        Report.from_json({"hello": 1})
    broken = report_of().to_json()
    broken["entries"][0]["role"] = "pupil"
    with pytest.raises(DataError, match=r"entries\.0\.role"):
        Report.from_json(broken)


@pytest.mark.parametrize(
    ("labels", "rows", "multilabel"),
    [
        (5, 200, False),
        (20, 300, False),
        (150, 600, False),
        (5, 200, True),
        (3, 1, False),
        (2, 12, True),
    ],
)
def test_page_is_one_whole_offline_file(report_of, tmp_path, labels, rows, multilabel):
    names = tuple(f"intent_{index:03d}" for index in range(labels))
    write_report(report_of(names, rows, multilabel=multilabel), tmp_path)
    page = (tmp_path / "report.html").read_text()
    checker = checked(page)
    assert checker.seen.count("svg") >= 4
    assert len(page.encode()) < 2_000_000
    assert "prefers-color-scheme: dark" in page
    assert "@media print" in page
    assert sorted(path.name for path in tmp_path.iterdir()) == [
        "report.html",
        "report.json",
        "report.md",
    ]


def test_heat_map_gives_way_to_pairs_where_it_cannot_be_read(report_of):
    few, many = html(report_of()), html(report_of(tuple(f"l{i}" for i in range(40)), 300))
    assert "Confusion of labels" in few
    assert "Confusion of labels" not in many
    assert "Labels confused most" in many


def test_what_is_missing_is_left_out(report_of):
    page = html(bare(report_of()))
    checked(page)
    for absent in (
        "Acceptance gates",
        "What its confidence is worth",
        "Paired tests",
        "Mistakes",
        "None",
    ):
        assert absent not in page


def test_user_text_is_escaped(report_of, tmp_path):
    evil = ('<script>alert("x")</script>', "a|b*c_[d](e)", "credit & card", "x" * 300)
    report = report_of(evil, 120)
    report = replace(
        report,
        task=TaskFacts(name="<i>", type="classification", labels=evil, description="<b>bold</b>"),
        warnings=("<img src=x>",),
    )
    page = html(report)
    checked(page)
    assert "<script" not in page
    assert "&lt;script&gt;" in page
    write_report(report, tmp_path)
    text = (tmp_path / "report.md").read_text()
    assert "<script" not in text.replace("\\<", "")
    tables = [line for line in text.splitlines() if line.startswith("| a\\|b")]
    assert tables and all(line.replace("\\|", "").count("|") == 7 for line in tables[:1])


def test_texts_that_are_not_valid_unicode_can_be_written(report_of, world, tmp_path):
    made = world(("a", "b"), 40)
    gold = [replace(example, input="lone \ud800 \x00 mark " * 50) for example in made.gold]
    report = replace(
        report_of(("a", "b"), 40), mistakes=worst_mistakes(made.answers(0.3), gold, limit=3)
    )
    write_report(report, tmp_path)
    assert len(report.mistakes) == 3
    assert "\x00" not in (tmp_path / "report.html").read_text()
    assert all(len(mistake.text) <= 320 for mistake in report.mistakes)


def test_mistakes_are_the_surest_first(world):
    made = world(("a", "b", "c"), 200)
    predictions = made.answers(0.5)
    found = worst_mistakes(predictions, made.gold, limit=5)
    sure = [mistake.confidence for mistake in found]
    assert sure == sorted(sure, reverse=True)
    wrong = [
        p.confidence for p, e in zip(predictions, made.gold, strict=True) if p.target != e.target
    ]
    assert sure[0] == max(wrong)


def test_headline_states_the_result(report_of):
    report = report_of(rows=200, skill=0.8, tfidf_skill=0.4)
    score = report.student.evaluation.score
    text = headline(report)
    assert text.startswith(f"minilm-l6 answers {score.value + 1e-9:.2f} [")
    assert "of 200 held-out rows right in 1.9 ms; deepseek-reasoner 0." in text
    assert "in 19,000 ms: " in text
    assert TFIDF not in text


@pytest.mark.parametrize(
    ("tfidf_skill", "words", "tone"),
    [(0.97, "beats it", "bad"), (0.76, "not beaten beyond noise", "bad"), (0.4, "", "good")],
)
def test_the_baseline_is_never_hidden(report_of, tfidf_skill, words, tone):
    report = report_of(rows=300, skill=0.75, tfidf_skill=tfidf_skill)
    assert words in headline(report)
    (verdict,) = [one for one in verdicts(report) if one.topic == f"Against {TFIDF}"]
    assert verdict.tone == tone


def test_overconfidence_is_said(report_of):
    report = report_of(rows=400, skill=0.7, heat=2.2)
    (verdict,) = [one for one in verdicts(report) if one.topic == "Confidence"]
    assert verdict.tone == "bad"
    assert "too high" in verdict.text


def test_fidelity_is_a_sentence_about_rows(report_of):
    report = report_of()
    (verdict,) = [one for one in verdicts(report) if one.topic == "Fidelity"]
    pattern = (
        r"It gives deepseek-reasoner's answer, right or wrong, on 0\.\d\d \[0\.\d\d, 0\.\d\d\] of "
        r"the rows, gpt-4o-mini's on 0\.\d\d \[0\.\d\d, 0\.\d\d\]\."
    )
    assert re.fullmatch(pattern, verdict.text)


@pytest.mark.parametrize("written", [milliseconds, dollars])
def test_figures_too_small_to_matter_are_bounded(written):
    assert [written(value) for value in (0.00015, 0.0021, 0.0099)] == ["<0.01"] * 3
    assert [written(value) for value in (0.01, 0.019, 0.0)] == ["0.01", "0.019", "0"]


def test_a_limit_that_a_person_set_is_shown_as_it_is():
    assert bound("latency_p95_ms", 0.0005) == "0.0005 ms"
    assert bound("usd_per_million", 0.004) == "USD 0.004"


def test_small_figures_are_bounded_on_every_page(report_of):
    report = report_of()
    majority = replace(
        report.entries[-1],
        latency=replace(report.entries[-1].latency, p50_ms=0.00015, p95_ms=0.0002),
        usd_per_million=0.0000021,
    )
    report = replace(report, entries=(*report.entries[:-1], majority))
    page = html(report)
    checked(page)
    (cells,) = [row for row in page.split("<tr>") if ">majority " in row]
    assert cells.count('<td class="num">&lt;0.01</td>') == 3
    (row,) = [line for line in markdown(report).splitlines() if line.startswith("| majority")]
    assert row.endswith(r"| \<0.01 | \<0.01 | \<0.01 |")
    for text in (page, row):
        assert "0.00015" not in text and "0.0000021" not in text
    assert "0.001 ms" not in page, "the axis begins where figures are still told apart"


def test_intervals_are_not_all_called_bootstrap(report_of):
    report = report_of()
    assert "95% intervals" in html(report) and "95% intervals" in markdown(report)
    for page in (html(report), markdown(report)):
        assert "bootstrap intervals" not in page


def test_key_figures_wrap_where_they_are_narrow(report_of):
    (rule,) = re.findall(r"\.key \.soft \{([^}]*)\}", html(report_of()))
    assert "white-space: normal" in rule


def test_no_words_stand_in_the_way_of_the_reliability_curve(report_of):
    page = html(report_of())
    chart, caption = page.split('aria-labelledby="reliability-t')[1].split("</svg>")[:2]
    assert "than stated" not in chart
    assert "above it the student is right more often than it states" in caption


def test_few_rows_are_warned_of(report_of):
    assert any("Only 12 rows" in warning for warning in report_of(rows=12).all_warnings)
    assert "Only 12 rows" in html(report_of(rows=12))


def test_gates_take_the_report_s_figures(report_of):
    report = report_of()
    figures = report.figures()
    teacher = report.teacher
    assert teacher is not None
    gap = teacher.evaluation.score.value - report.student.evaluation.score.value
    assert figures["teacher_gap"] == pytest.approx(gap)
    assert {gate.name: gate.passed for gate in report.gates}["latency_p95_ms"] is False
    assert bare(report).figures()["ece"] is None


def test_a_report_needs_a_student_and_common_rows(report_of):
    report, other = report_of(), report_of(rows=50)
    with pytest.raises(DataError, match="'student'"):
        replace(report, entries=report.entries[1:])
    with pytest.raises(DataError, match="different rows"):
        replace(report, entries=(report.entries[0], replace(other.entries[1], role="baseline")))


def test_a_folder_that_cannot_be_written(report_of, tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(StorageError, match="Not a directory"):
        write_report(bare(report_of()), tmp_path / "file" / "runs")


def test_ticks_are_round():
    assert nice_ticks(0.2, 0.8) == pytest.approx([0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8][::2])
    assert nice_ticks(0.7, 0.8) == pytest.approx([0.7, 0.72, 0.74, 0.76, 0.78, 0.8])


def test_numpy_is_enough_to_evaluate():
    code = (
        "import sys; sys.modules['sklearn'] = sys.modules['scipy'] = sys.modules['torch'] = None\n"
        "from potstill.data import Example, Prediction\n"
        "from potstill.evaluate import evaluate, compare, Report, write_report\n"
        "gold = [Example(id='1', input='x', target='a')]\n"
        "evaluate([Prediction('a', 0.9)], gold, labels=('a', 'b'))\n"
    )
    subprocess.run([sys.executable, "-c", code], check=True)
