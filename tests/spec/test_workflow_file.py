from __future__ import annotations

from pathlib import Path

import pytest

from potstill.errors import SpecError
from potstill.spec import kind_of, load_task, load_workflow, workflow_json_schema

WORKFLOW = """\
kind: workflow
version: 1
name: intake
nodes:
  route:
    model: models/router
  banking:
    model: models/banking
    when:
      route.label: [card, loan]
output: {first: [banking, route]}
"""


@pytest.fixture
def write(tmp_path: Path):
    def write(text: str | bytes) -> Path:
        path = tmp_path / "workflow.yaml"
        path.write_bytes(text.encode() if isinstance(text, str) else text)
        return path

    return write


def refusal(path: Path) -> str:
    with pytest.raises(SpecError) as caught:
        load_workflow(path)
    return str(caught.value).replace(str(path), "workflow.yaml")


def test_a_workflow_loads_with_defaults_places_and_paths(write):
    path = write(WORKFLOW)
    loaded = load_workflow(path)
    spec = loaded.workflow
    assert spec.columns.input == "text"
    assert spec.nodes["route"].on_error == "fail"
    assert spec.nodes["route"].part == "model"
    assert spec.nodes["banking"].when["route.label"].in_ == ["card", "loan"]
    assert not spec.output.prefix
    assert loaded.resolve("models/router") == path.parent / "models/router"
    assert loaded.where("nodes", "banking", "when", "route.label", 1) == f"{path}:10"
    assert loaded.where("nodes", "route", "timeout_ms") == f"{path}:5"


def test_the_short_forms_say_what_the_long_ones_say(write):
    long = WORKFLOW.replace("[card, loan]", "{in: [card, loan]}")
    assert load_workflow(write(long)).workflow == load_workflow(write(WORKFLOW)).workflow
    short = WORKFLOW.replace("[card, loan]", "card").replace("{first: [banking, route]}", "route")
    spec = load_workflow(write(short)).workflow
    assert spec.nodes["banking"].when["route.label"].is_ == "card"
    assert spec.output.first == ["route"]


def test_overrides_go_before_the_file(write):
    loaded = load_workflow(write(WORKFLOW), ["nodes.route.on_error=defer", "output=route"])
    assert loaded.workflow.nodes["route"].on_error == "defer"
    assert loaded.workflow.output.first == ["route"]


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        ("nodes:", "noodes:", "workflow.yaml:4: unknown key 'noodes'. Did you mean 'nodes'?"),
        ("output:", "outputs:", "workflow.yaml:11: unknown key 'outputs'. Did you mean 'output'?"),
        ("output: {first: [banking, route]}\n", "", "workflow.yaml:1: the workflow lacks 'output'. 'output' is: Which node's answer"),
        ("    model: models/router", "    modle: models/router", "workflow.yaml:6: unknown key 'modle'. Did you mean 'model'?"),
        ("    model: models/router", "    step: splitt_clauses", "workflow.yaml:6: 'nodes.route.step' must be 'split_clauses', 'passage', 'pick', 'join', 'union' or 'surest', not 'splitt_clauses'. Did you mean 'split_clauses'?"),
        ("    model: models/router", "    model: a\n    teacher: b", "workflow.yaml:5: 'nodes.route': a node is one of 'model', 'workflow', 'teacher', 'step'; found 'model' and 'teacher'."),
        ("    model: models/router", "    on_error: defer", "found none of them"),
        ("    model: models/router", "    model: a\n    map: input\n    input: input", "workflow.yaml:5: 'nodes.route': 'map' names the list that the node reads"),
        ("    model: models/router", "    model: a\n    on_error: ignore", "workflow.yaml:7: 'nodes.route.on_error' must be 'fail', 'defer' or 'default', not 'ignore'."),
        ("    model: models/router", "    model: a\n    default: x", "'on_error: default' and a 'default' go together"),
        ("    model: models/router", "    step: join\n    on_error: default\n    default: x", "a step has no 'default'"),
        ("    model: models/router", "    step: pick", "'step: pick' and a 'field' go together"),
        ("    model: models/router", "    step: join\n    task: t.yaml", "'task' says what a 'model' is made from"),
        ("    model: models/router", "    model: a\n    timeout_ms: 0", "workflow.yaml:7: 'nodes.route.timeout_ms': should be greater than 0."),
        ("    model: models/router", "    model: 5", "workflow.yaml:6: 'nodes.route.model' must be text, not 5. Put it into quotes."),
        ("[card, loan]", "{inn: [card]}", "workflow.yaml:10: unknown key 'inn'. Did you mean 'in'?"),
        ("[card, loan]", "[]", "workflow.yaml:10: 'nodes.banking.when.route.label"),
        ("[card, loan]", "{}", "a condition needs 'is', 'in', 'not_in', 'has', 'at_least' or 'below'"),
        ("[card, loan]", "{at_least: high}", "workflow.yaml:10: 'nodes.banking.when.route.label.at_least' must be a number, not 'high'."),
        ("  route:\n", "  Route:\n", "workflow.yaml:5: 'nodes.Route' is 'Route', but may hold lower-case letters"),
        ("  route:\n", "  input:\n", "no node can be called 'input'"),
        ("kind: workflow", "kind: task", "workflow.yaml:1: this is a task file, and a workflow is wanted."),
        ("kind: workflow", "kind: recipe", "workflow.yaml:1: this is a recipe file, and a workflow is wanted."),
        ("name: intake", "name: In Take", "workflow.yaml:3: 'name' is 'In Take', but may hold"),
        ("{first: [banking, route]}", "{first: []}", "workflow.yaml:11: 'output.first' is an empty list."),
    ],
)  # fmt: skip
def test_a_mistake_is_refused_with_its_line_and_remedy(write, old, new, said):
    assert old in WORKFLOW
    assert said in refusal(write(WORKFLOW.replace(old, new, 1)))


def test_a_file_that_is_missing_or_empty(write, tmp_path):
    with pytest.raises(SpecError, match=r"no such workflow file. Did you mean 'workflow.yaml'"):
        write(WORKFLOW)
        load_workflow(tmp_path / "workflw.yaml")
    assert "the file is empty. The page docs/workflows.md" in refusal(write(""))
    assert "a workflow file is a mapping (key: value)." in refusal(write("- a"))


def test_the_kind_of_a_file(write):
    assert kind_of(write(WORKFLOW)) == "workflow"
    assert kind_of(write("kind: task\n")) == "task"
    assert kind_of(write("name: x\n")) == "task"
    with pytest.raises(SpecError, match="this is a workflow file, and a task is wanted"):
        load_task(write(WORKFLOW))


def test_the_schema_describes_every_key():
    schema = workflow_json_schema()
    assert schema["title"] == "Potstill workflow"
    for name in ("NodeSpec", "OutputSpec", "Test"):
        part = schema["$defs"][name]
        assert all("description" in value for value in part["properties"].values()), name
    assert "array" in schema["$defs"]["Test"]["type"]
    assert "in" in schema["$defs"]["Test"]["properties"]
