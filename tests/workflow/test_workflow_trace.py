from __future__ import annotations

import json

import pytest

from potstill.data.example import id_of
from potstill.workflow.mermaid import mermaid
from potstill.workflow.steps import split_clauses


def test_the_trace_tells_what_each_node_read_gave_and_took(intake):
    [trace] = intake.run(["banking=0.75 lost_card=0.8"])
    assert trace.by == "banking"
    assert (trace.reason, trace.usd) == (None, 0.0)
    route, banking, complaints = trace.path
    assert route.input_hash == id_of("banking=0.75 lost_card=0.8")
    assert route.confidence == 0.75
    assert 0.0 < route.ms <= trace.ms
    assert banking.to_json() == {
        "node": "banking",
        "ran": True,
        "input_hash": route.input_hash,
        "output": {"label": "lost_card", "confidence": 0.8},
        "confidence": 0.8,
        "ms": pytest.approx(banking.ms, abs=1e-4),
        "usd": 0.0,
    }
    assert complaints.to_json() == {"node": "complaints", "ran": False}
    row = json.loads(json.dumps(trace.to_json()))
    assert row["prediction"]["label"] == "banking/lost_card"
    assert [node["ran"] for node in row["nodes"]] == [True, True, False]
    with pytest.raises(KeyError):
        trace.node("nowhere")


def test_the_trace_of_a_list_has_all_its_items(load):
    nodes = """
clauses: {step: split_clauses}
each: {model: complaints, map: clauses}
all: {step: union, input: each}
"""
    [one, same, other] = load(nodes, "all").run(
        ["debt=0.5. mortgage=0.5", "debt=0.5. mortgage=0.5", "debt=0.5"]
    )
    each = one.node("each").to_json()
    assert [item["label"] for item in each["output"]] == ["debt", "mortgage"]
    assert each["confidence"] == 0.25
    assert one.node("each").input_hash == same.node("each").input_hash
    assert one.node("each").input_hash != other.node("each").input_hash
    assert one.node("clauses").to_json()["output"] == ["debt=0.5.", "mortgage=0.5"]


def test_money_is_summed_and_unknown_is_never_zero(load, predictors, monkeypatch, cards):
    (cards / "gold.jsonl").write_text('{"text": "x", "label": "debt"}\n')
    (cards / "task.yaml").write_text(
        "kind: task\nversion: 1\nname: complaints\ntype: classification\n"
        "labels: [debt, mortgage]\ndata: {gold: gold.jsonl}\nteacher: {answers: a.jsonl}\n"
    )
    (cards / "a.jsonl").write_text("{}\n")
    teacher = predictors["complaints"]

    class Priced:
        labels = teacher.labels

        def predict(self, inputs):
            raise AssertionError("whoever knows the price is asked for it")

        def predict_priced(self, inputs):
            costs = [0.25 if "dear" in text else None for text in inputs]
            return list(zip(teacher.predict(inputs), costs, strict=True))

    monkeypatch.setitem(predictors, "complaints", Priced())
    nodes = """
route: {model: route}
one: {teacher: task.yaml}
two: {teacher: task.yaml, when: {route.label: weather}}
"""
    workflow = load(nodes, "{first: [two, one]}")
    traces = workflow.run(["dear weather", "dear banking", "banking"])
    assert [trace.usd for trace in traces] == [0.5, 0.25, None]
    assert [usd for _, usd in workflow.predict_priced(["dear weather"])] == [0.5]


def test_the_drawing_names_nodes_conditions_and_order(load):
    nodes = """
route: {model: route}
clauses: {step: split_clauses, when: {route.label: {in: [banking, complaint]}, route.confidence: {below: 0.5}}}
each-one: {model: complaints, map: clauses}
end: {step: union, input: each-one}
"""
    drawn = mermaid(load(nodes, "{first: [end, route]}").graph)
    assert drawn.splitlines() == [
        "flowchart TD",
        '    n0(["input"])',
        '    n1["<b>route</b><br/>model route<br/>3 labels"]',
        '    n2("<b>clauses</b><br/>split_clauses")',
        '    n3["<b>each-one</b><br/>model complaints<br/>2 labels"]',
        '    n4("<b>end</b><br/>union<br/>2 labels")',
        "    n0 --> n1",
        "    n0 --> n2",
        '    n1 -. "label in banking, complaint" .-> n2',
        '    n1 -. "confidence below 0.5" .-> n2',
        "    n2 -->|each| n3",
        "    n3 --> n4",
        '    out(["output"])',
        "    n4 -->|1| out",
        "    n1 -->|2| out",
    ]


def test_the_drawing_survives_odd_labels_and_long_lists(load, make_card, cards, predictors):
    labels = ('say "hi"', "a<b", "#1", "x", "y", "z")
    make_card(cards / "odd", labels)
    predictors["odd"] = predictors["route"].__class__("odd", labels)
    nodes = """
odd: {model: odd}
few: {model: route, when: {odd.label: ['say "hi"', a<b, '#1']}}
many: {model: route, when: {odd.label: {not_in: [x]}}}
"""
    drawn = mermaid(load(nodes, "{first: [few, many]}").graph)
    assert '"label in say #quot;hi#quot;, a#lt;b, #35;1"' in drawn
    assert '"label one of 5"' in drawn


@pytest.mark.parametrize(
    ("text", "clauses"),
    [
        ("one clause", ["one clause"]),
        ("", [""]),
        (
            "First. Second! Third? Fourth; fifth",
            ["First.", "Second!", "Third?", "Fourth;", "fifth"],
        ),
        ("lines\nof\n- a list\n2) here", ["lines", "of", "a list", "here"]),
        (
            "my card is lost and I want a new one, but please keep the number",
            ["my card is lost", "and I want a new one", "but please keep the number"],
        ),
        ("fees and charges of 3.50 e.g. this", ["fees and charges of 3.50 e.g.", "this"]),
        ("  spaces. around  ", ["spaces.", "around"]),
    ],
)
def test_clauses(text, clauses):
    assert split_clauses(text) == clauses


def test_no_more_clauses_than_asked_for():
    assert split_clauses("a. b. c. d", most=2) == ["a.", "b. c. d"]
    assert split_clauses("a. b", most=1) == ["a. b"]
