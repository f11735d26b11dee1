"""The report of a recipe: offline, whole, and true to what was run."""

from __future__ import annotations

import json
import re
import xml.etree.ElementTree as ET

import pytest
from stub_trainers import STAGES, SUMS

from potstill.evaluate.figures import MINUS
from potstill.evaluate.recipe_charts import training_charts
from potstill.evaluate.recipe_page import recipe_html
from potstill.evaluate.recipe_words import HEAD, cells, headline, recipe_markdown, verdict


@pytest.fixture
def finished(write_recipe, cook, trainers):
    stages = [
        {**stage, "max_drop": 0.02, "accept": {"accuracy": {"min": 0.3}}, "learning_rate": 0.1}
        if stage["name"] == "grpo"
        else stage
        for stage in STAGES
    ]
    return cook(write_recipe(stages, description="Adds <b>two</b> numbers."))


def test_the_page_needs_no_network_and_escapes_what_others_wrote(finished):
    page = (finished.folder / "report.html").read_text()
    assert "http" not in page
    assert "<script" not in page
    assert "Adds &lt;b&gt;two&lt;/b&gt; numbers." in page
    assert "<td" in page
    for figure in re.findall(r"<svg.*?</svg>", page, re.DOTALL):
        ET.fromstring(figure)
    assert 'id="stage2-loss-t"' in page
    assert 'id="stage3-reward-t"' in page
    assert "accuracy 0.6" in page, "the last value of a curve stands at its end"


def test_every_stage_has_a_row_and_a_section(finished):
    report = finished.outcome.report
    text = (finished.folder / "report.md").read_text()
    assert text == recipe_markdown(report)
    for entry in report["stages"]:
        assert len(cells(entry)) == len(HEAD)
    for name in ("cold-start", "sft", "grpo", "reject", "mix", "sft-2", "prefer", "distil"):
        assert f"\n## {name} (" in text
    assert "restarts from base" in text
    assert "arithmetic addition" in text


def test_it_says_why_a_stage_is_refused_and_what_the_gates_found(finished):
    report = finished.outcome.report
    grpo = next(one for one in report["stages"] if one["name"] == "grpo")
    assert verdict(grpo).startswith(f"Refused: its accuracy differs by {MINUS}0.")
    assert "goes on from sft" in verdict(grpo)
    sft = next(one for one in report["stages"] if one["name"] == "sft")
    assert verdict(sft).startswith("No bound is set")
    assert report["gates"][0]["passed"] is False
    page = (finished.folder / "report.html").read_text()
    assert "at least 0.3: FAILED" in page
    assert verdict(grpo).replace("'", "&#39;") in page
    assert headline(report).startswith("sums: the base is right in 0.00 of its answers, prefer in")


def test_what_filters_took_adds_up(finished):
    reject = next(one for one in finished.outcome.report["stages"] if one["name"] == "reject")
    kept = len((finished.folder / "reject" / "rows.jsonl").read_text().splitlines())
    assert reject["took"][0]["checked"] == 80
    assert 80 - sum(step["taken"] for step in reject["took"]) == kept
    for step, following in zip(reject["took"], reject["took"][1:], strict=False):
        assert following["checked"] == step["checked"] - step["taken"]


def test_examples_that_changed_show_both_answers(finished):
    sft = next(one for one in finished.outcome.report["stages"] if one["name"] == "sft")
    assert 0 < len(sft["better"]) <= 3
    for one in sft["better"]:
        assert one["second"].endswith("7777")
        assert one["first"].endswith(one["wanted"])


def test_a_long_training_is_drawn_with_few_points():
    history = [{"step": n, "loss": 1 / n} for n in range(1, 5001)]
    [curve] = training_charts("x", history)
    points = re.findall(r'points="([^"]+)"', curve)[0].split()
    assert len(points) <= 160
    assert training_charts("x", history[:1]) == []
    assert training_charts("x", [{"step": n, "loss": float("nan")} for n in (1, 2)]) == []


def test_without_answers_the_report_says_that_nobody_knows(write_recipe, cook, trainers, tmp_path):
    (tmp_path / "t.jsonl").write_text(
        "".join(json.dumps({"prompt": f"Say {n} words."}) + "\n" for n in range(5))
    )
    found = cook(write_recipe(STAGES[:2], data={**SUMS, "test": {"file": "t.jsonl"}}))
    assert headline(found.outcome.report).endswith("nobody knows what is right")
    assert "unknown" in recipe_html(found.outcome.report)
