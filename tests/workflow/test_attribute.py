from __future__ import annotations

import json

import pytest

from potstill.data import Example
from potstill.workflow.attribute import attribute
from potstill.workflow.rights import Rights, read_node_gold

ROWS = [
    ("banking lost_card", "banking/lost_card"),  # right
    ("banking card_arrival", "banking/lost_card"),  # banking is wrong
    ("weather lost_card", "banking/lost_card"),  # route is wrong, banking would be right
    ("weather card_arrival", "banking/lost_card"),  # both are wrong
    ("weather", "route/weather"),  # right
    ("complaint? debt", "complaints/debt"),  # route defers what it need not
    ("weather?", "oos"),  # rightly deferred
    ("weather", "oos"),  # should have been deferred
]


def rows(pairs):
    return [Example(id=f"r{i}", input=text, target=gold) for i, (text, gold) in enumerate(pairs)]


def test_errors_are_attributed_to_the_nodes_that_made_them(intake):
    found = attribute(intake, rows(ROWS))
    assert (found.rows, found.wrong, found.deferred, found.unexplained) == (8, 4, 1, 0)
    assert found.right == (True, False, False, False, True, False, True, False)
    assert found.score == pytest.approx(3 / 8)
    route, banking, complaints = found.nodes
    assert (route.reached, route.judged, route.wrong, route.deferred) == (8, 8, 3, 1)
    assert (banking.reached, banking.judged, banking.wrong, banking.first_fault) == (2, 2, 1, 1)
    assert route.first_fault == 4
    assert route.error == pytest.approx(0.5)
    # Perfect routing mends what the branches then get right, and defers the stranger.
    assert route.right_if_perfect == (True, False, True, False, True, True, True, True)
    assert route.score_if_perfect == pytest.approx(6 / 8)
    # A perfect banking model helps only where it is asked.
    assert banking.right_if_perfect == (True, True, False, False, True, False, True, False)
    assert complaints.error is None
    assert complaints.score_if_perfect == found.score


def test_the_share_of_each_node_goes_to_json(intake):
    found = attribute(intake, rows(ROWS))
    row = json.loads(json.dumps(found.to_json()))
    assert row["usd"] == 0.0
    assert [node["node"] for node in row["nodes"]] == ["route", "banking", "complaints"]
    assert row["nodes"][0]["gain_if_perfect"] == pytest.approx(3 / 8)
    assert row["ms"] == pytest.approx(sum(node["ms"] for node in row["nodes"]), abs=0.01)
    assert "right_if_perfect" not in row["nodes"][0]


def test_only_what_comes_after_a_mended_node_is_asked_again(intake, predictors):
    attribute(intake, rows([("banking card_arrival", "banking/lost_card")]))
    assert len(predictors["route"].calls) == 1
    assert len(predictors["banking"].calls) == 1
    attribute(intake, rows([("weather lost_card", "banking/lost_card")]))
    assert predictors["banking"].calls[1:] == [["weather lost_card"]]
    assert len(predictors["route"].calls) == 2


def test_the_branch_that_the_router_thinks_likeliest_stands_for_the_right_one(load, predictors):
    nodes = """
route: {model: route}
banking: {model: banking, when: {route.label: [banking, complaint]}}
after: {model: complaints, input: route.label, when: {banking.label: lost_card}}
"""
    workflow = load(nodes, "{first: [after, banking, route], prefix: true}")
    attribute(workflow, rows([("weather lost_card", "after/mortgage")]))
    assert predictors["complaints"].calls == [["banking"]]


def test_gold_of_a_node_goes_before_what_is_derived(intake):
    known = {"route": {"r0": "weather", "r1": "oos"}}
    [first, second, third] = rows([("x", "banking/lost_card")] * 3)
    assert Rights.of(intake.graph, first, known).found["route"] == {"weather"}
    assert Rights.of(intake.graph, second, known).found["route"] == frozenset()
    assert Rights.of(intake.graph, third, known).found == {
        "banking": {"lost_card"},
        "route": {"banking"},
    }


def test_a_label_that_two_nodes_could_give_tells_nothing_of_either(load):
    nodes = "a: {model: route}\nb: {model: route, when: {a.label: banking}}"
    workflow = load(nodes, "{first: [b, a]}")
    [row] = rows([("x", "weather")])
    assert Rights.of(workflow.graph, row).found == {}
    found = attribute(workflow, rows([("banking", "weather")]))
    assert (found.wrong, found.unexplained) == (1, 1)


def test_gold_of_nodes_is_read_from_their_columns(load, cards):
    nodes = """
route: {model: route, gold: route_label}
tags: {model: tags, gold: tag_labels}
banking: {model: banking, when: {route.label: banking, tags.labels: {has: urgent}}}
"""
    graph = load(nodes, "{first: [banking, route]}").graph
    data = cards / "gold.jsonl"
    data.write_text(
        '{"id": "a", "text": "x", "label": "banking", "route_label": "banking"}\n'
        '{"id": "b", "text": "y", "label": "weather", "tag_labels": ["angry", "urgent"]}\n'
    )
    known = read_node_gold(graph, data)
    assert known == {"route": {"a": "banking"}, "tags": {"b": ("angry", "urgent")}}
    row = Example(id="b", input="y", target="weather")
    assert Rights.of(graph, row, known).found["tags"] == {frozenset({"urgent", "angry"})}


def test_several_labels_of_the_whole_are_judged_as_a_set(load):
    nodes = """
clauses: {step: split_clauses}
each: {model: complaints, map: clauses}
all: {step: union, input: each}
"""
    pairs = [("debt. mortgage", ("mortgage", "debt")), ("debt. debt", ("mortgage",))]
    found = attribute(load(nodes, "all"), rows(pairs))
    assert found.right == (True, False)
    shares = {share.node: share for share in found.nodes}
    assert (shares["all"].judged, shares["all"].wrong) == (2, 1)
    assert shares["all"].score_if_perfect == 1.0
    assert shares["each"].judged == 0
