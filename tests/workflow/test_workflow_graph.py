from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from potstill.errors import SpecError
from potstill.spec import load_workflow
from potstill.workflow import read_graph
from potstill.workflow.types import Answer, Fields, ListOf, Text

ROUTE = "route: {model: route}\n"


def refusal(path: Path) -> str:
    with pytest.raises(SpecError) as caught:
        read_graph(load_workflow(path))
    return str(caught.value).replace(f"{path.parent}/", "")


def test_a_graph_knows_order_types_and_taxonomy(write):
    nodes = """
all: {step: union, input: each}
each: {model: route, map: clauses}
clauses: {step: split_clauses, when: {first.confidence: {below: 0.5}}}
first: {model: route}
"""
    graph = read_graph(load_workflow(write(nodes, "{first: [all, first], prefix: true}")))
    assert [node.name for node in graph.nodes] == ["first", "clauses", "each", "all"]
    assert [node.kind for node in graph.nodes] == [
        Answer(("banking", "complaint", "weather"), False),
        ListOf(Text()),
        ListOf(Answer(("banking", "complaint", "weather"), False)),
        Answer(("banking", "complaint", "weather"), True),
    ]
    assert graph.answer.multilabel
    assert graph.answer.labels[:2] == ("all/banking", "all/complaint")
    assert graph.reads == Text()
    assert graph.warnings == ()


def test_nodes_that_need_nothing_of_one_another_share_a_wave(write):
    nodes = f"{ROUTE}banking: {{model: banking}}\nboth: {{step: surest, input: [route, banking]}}"
    graph = read_graph(load_workflow(write(nodes, "both")))
    assert [[node.name for node in wave] for wave in graph.waves] == [
        ["route", "banking"],
        ["both"],
    ]


def test_the_version_follows_the_file_and_its_models(write, cards, make_card):
    path = write(ROUTE, "route")
    first = read_graph(load_workflow(path)).version
    assert read_graph(load_workflow(path)).version == first
    make_card(cards / "route", ("banking", "other"))
    other = read_graph(load_workflow(path)).version
    assert other != first
    path = write("route: {model: route, on_error: defer}", "route")
    assert read_graph(load_workflow(path)).version != other


@pytest.mark.parametrize(
    ("nodes", "output", "said"),
    [
        ("a: {model: rout}", "a", "yaml:5: there is no model at 'rout'. Make it with: potstill run TASK.yaml --out rout"),
        ("a: {model: rout, task: r.yaml}", "a", "Make it with: potstill run r.yaml --out rout"),
        (ROUTE + "b: {model: banking, when: {rout.label: x}}", "b", "yaml:6: 'rout.label': no node is called 'rout'. Did you mean 'route'?"),
        (ROUTE + "b: {model: banking, when: {route.lable: x}}", "b", "yaml:6: 'route.lable': 'route' is an answer, and there is no 'lable' in it. Did you mean 'label'?"),
        (ROUTE + "b: {model: banking, when: {route.label: bankin}}", "b", "yaml:6: 'route' has no label 'bankin'. Did you mean 'banking'?"),
        (ROUTE + "b:\n  model: banking\n  when:\n    route.label:\n      - banking\n      - wether", "b", "yaml:11: 'route' has no label 'wether'. Did you mean 'weather'?"),
        (ROUTE + "b:\n  model: banking\n  when:\n    route.label:\n      in: [banking,\n        wether]", "b", "yaml:11: 'route' has no label 'wether'."),
        (ROUTE + "b: {model: banking, when: {route: banking}}", "b", "yaml:6: 'route' is an answer: a condition cannot test that. Test a field: route.label"),
        (ROUTE + "b: {model: banking, when: {route.label: {at_least: 0.5}}}", "b", "'route.label' is a label: 'at_least' cannot test that. Use 'is' or 'in' or 'not_in'."),
        (ROUTE + "b: {model: banking, when: {route.deferred: perhaps}}", "b", "'route.deferred' is true or false, not 'perhaps'."),
        (ROUTE + "b: {model: banking, when: {route.confidence: {is: 1}}}", "b", "'route.confidence' is a number: 'is' cannot test that."),
        (ROUTE + "b: {model: banking, input: route}", "b", "yaml:6: model 'b' reads a text, not an answer. Read its label: add '.label'."),
        ("b: {model: banking, input: c}\nc: {step: split_clauses}", "b", "yaml:5: model 'b' reads a text, not a list of texts. Use 'map'"),
        ("b: {model: banking, map: input}", "b", "yaml:5: 'map' reads a list, and 'input' is a text. Use 'input' instead"),
        ("b: {model: letters}", "b", "model 'b' reads the fields subject, body, not a text. Give it a mapping: input: {subject: …, body: …}."),
        ("b: {model: banking, input: {subject: input, body: input}}", "b", "model 'b' reads a text, not the fields subject, body."),
        (ROUTE + "b: {model: banking, input: route.confidence}", "b", "model 'b' reads a text, not a number."),
        (ROUTE + "b: {model: banking, input: route.deferred}", "b", "model 'b' reads a text, not true or false."),
        ("c: {step: split_clauses}\neach: {model: tags, map: c}\nb: {model: route, input: each.labels}", "b", "model 'b' reads a text, not a list of several labels."),
        ("t: {model: tags}\nb: {model: route, input: t.labels}", "b", "model 'b' reads a text, not several labels."),
        ("b: {model: route, when: {input: x, input.subject: y}}", "b", "'input' is a text, and there is no 'subject' in it. That has no fields."),
        (ROUTE + "b: {step: join, input: {a: route}}", "b", "'a' must be a text, not an answer."),
        (ROUTE + "b: {step: surest, input: [route, input]}", "b", "'input' lists what does not go together: an answer, a text."),
        (ROUTE + "b: {step: pick, field: labels, input: route}", "b", "'pick' takes a field, and an answer has label, guess, confidence, deferred, not 'labels'."),
        ("b: {step: union}", "b", "yaml:5: 'union' reads a list of answers, not a text."),
        ("c: {step: split_clauses}\neach: {model: route, map: c}", "each", "yaml:7: the output must be an answer, and 'each' is a list of answers. Join them: {step: union, input: each}."),
        ("c: {step: split_clauses}", "c", "the output must be an answer, and 'c' is a list of texts."),
        (ROUTE, "[route]", "'output' must be"),
        (ROUTE, "rute", "yaml:6: no node is called 'rute'. Did you mean 'route'?"),
        (ROUTE, "{first: [route, route]}", "'route' stands twice."),
        ("a: {model: route, on_error: default, default: bank}", "a", "'a' has no label 'bank'. Did you mean 'banking'?"),
        ("a: {model: route, on_error: default, default: [banking]}", "a", "the default of 'a' must be one label."),
        ("a: {model: tags, on_error: default, default: angry}", "a", "the default of 'a' must be a list of labels."),
        ("a: {workflow: other.yaml}", "a", "yaml:5: the file 'other.yaml' does not exist."),
        ("a: {workflow: workflow.yaml}", "a", "yaml:5: the workflow 'workflow.yaml' is a part of itself."),
        ("a: {teacher: task.yaml}", "a", "yaml:5: the file 'task.yaml' does not exist."),
        (
            "a: {model: route, when: {c.label: banking}}\nb: {model: route, when: {a.label: banking}}\nc: {model: route, when: {b.label: banking}}",
            "a",
            "the nodes wait for one another in a circle: ",
        ),
        ("a: {model: route, input: a.label}", "a", "yaml:5: the nodes wait for one another in a circle: a → a."),
    ],
)  # fmt: skip
def test_a_mistake_is_refused_with_its_line_and_remedy(write, nodes, output, said):
    assert said in refusal(write(nodes, output))


def test_all_mistakes_are_told_in_the_order_of_the_file(write):
    nodes = ROUTE + "b: {model: banking, when: {route.label: x1}}\nc: {model: nowhere}"
    lines = refusal(write(nodes, "d")).splitlines()
    assert [line.split(":")[1] for line in lines] == ["6", "7", "8"]


def test_what_hangs_on_a_missing_model_is_not_told_as_well(write):
    nodes = """
a: {model: nowhere}
b: {step: surest, input: [a, a]}
c: {step: split_clauses, input: b.label}
d: {model: banking, map: c, when: {a.label: anything, b.confidence: {below: 1}}}
e: {step: union, input: d}
"""
    assert refusal(write(nodes, "{first: [e, b]}")).count("\n") == 0


def test_a_task_without_a_teacher_cannot_be_asked(write, cards):
    (cards / "task.yaml").write_text(
        "kind: task\nversion: 1\nname: t\ntype: classification\nlabels: [x, y]\n"
        "data: {gold: gold.jsonl}\n"
    )
    said = refusal(write("a: {teacher: task.yaml}", "a"))
    assert said.startswith("workflow.yaml:5: the task 'task.yaml' has no teacher. Give it a")


def test_a_mistake_in_a_workflow_within_is_told_in_its_own_file(write):
    write("a: {model: rout}", "a", name="inner")
    assert refusal(write("b: {workflow: inner.yaml}", "b")).startswith("inner.yaml:5: there is no")


def test_two_workflows_that_hold_each_other_are_refused(write):
    write("a: {workflow: workflow.yaml}", "a", name="inner")
    said = refusal(write("b: {workflow: inner.yaml}", "b"))
    assert said.startswith("inner.yaml:5: the workflow 'workflow.yaml' is a part of itself.")


def test_a_damaged_card_is_told_at_its_node(write, cards):
    (cards / "route" / "model.json").write_bytes(b"{")
    assert refusal(write(ROUTE, "route")).startswith(
        "workflow.yaml:5: model.json is not valid JSON"
    )


def test_the_order_of_fields_is_that_of_the_model(write):
    more = "columns: {input: [body, subject]}\n"
    nodes = "a: {model: letters, input: {body: input.body, subject: input.subject}}"
    graph = read_graph(load_workflow(write(nodes, "a", more)))
    assert graph.reads == Fields(("body", "subject"))
    assert graph.nodes[0].source.names == ("subject", "body")


@pytest.mark.parametrize(
    ("nodes", "output", "said"),
    [
        (ROUTE + "b: {model: banking}", "route", "nothing reads the answer of 'b'"),
        (ROUTE + "b: {model: banking}", "{first: [route, b]}", "'route' always answers, so b are"),
    ],
)
def test_what_is_of_no_use_is_warned_of(write, nodes, output, said):
    [warning] = read_graph(load_workflow(write(nodes, output))).warnings
    assert said in warning


@pytest.fixture(autouse=True)
def _no_absolute_paths(write: Callable[..., Path], monkeypatch: pytest.MonkeyPatch) -> None:
    """Hints name paths as a person would type them from the folder of the file."""
    monkeypatch.chdir(write(ROUTE, "route").parent)
