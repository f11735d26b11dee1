from __future__ import annotations

import json

import pytest

from potstill.errors import SpecError
from potstill.spec import load_task, task_json_schema, task_template


@pytest.mark.parametrize("type_", ["classification", "multilabel", "extraction", "generation"])
@pytest.mark.parametrize("name", ["complaints", "my-task", "2026", "null", "1e5"])
def test_the_template_loads_as_it_stands(tmp_path, type_, name):
    for file in ("inbox.jsonl", "gold.jsonl", "answers.jsonl"):
        (tmp_path / file).write_text("{}\n")
    path = tmp_path / "task.yaml"
    path.write_text(task_template(name, type_), encoding="utf-8")
    task = load_task(path).task
    assert (task.name, task.type) == (name, type_)


def test_every_commented_setting_of_the_template_loads_too(tmp_path):
    lines = task_template("complaints").splitlines()
    settings = ("rules:", "  - If", "gold_split:", "columns:", "terms:", "usd_per", "policy:")
    settings += ("max_tokens:", "teacher_gap:", "latency_p95_ms:")
    opened = [
        line.replace("# ", "", 1) if line.lstrip("# ").startswith(settings) else line
        for line in (item.replace("#   - If", "#   - If") for item in lines)
    ]
    opened = [line.replace("#   - If", "  - If") for line in opened]
    path = tmp_path / "task.yaml"
    path.write_text("\n".join(opened), encoding="utf-8")
    task = load_task(path, check_files=False).task
    assert task.rules and task.policy.deny == ["openai/*"]
    assert task.data.gold_split is not None and task.data.gold_split.dev == 0.2
    assert task.teacher is not None and task.teacher.usd_per_million == 500
    assert set(task.accept) == {"macro_f1", "teacher_gap", "latency_p95_ms"}


def test_editors_find_the_schema_by_the_first_line():
    first = task_template("a", schema="x.json").splitlines()[0]
    assert first == "# yaml-language-server: $schema=x.json"


def test_what_cannot_be_a_template():
    with pytest.raises(SpecError, match="cannot be a task's name"):
        task_template("My Task")
    with pytest.raises(SpecError, match="Choose classification or multilabel or extr"):
        task_template("a", "tagging")  # type: ignore[arg-type]


def test_the_schema_describes_every_key_and_refuses_others():
    schema = task_json_schema()
    assert json.loads(json.dumps(schema)) == schema
    objects = [schema, *schema["$defs"].values()]
    assert len(objects) > 8
    for part in objects:
        assert part["additionalProperties"] is False
        for name, entry in part["properties"].items():
            # Pydantic leaves out what the part referred to says in the same words.
            referred = schema["$defs"].get(entry.get("$ref", "").rpartition("/")[2], {})
            said = entry.get("description") or referred.get("description")
            assert said, f"{part['title']}.{name} has no description"
    kinds = [choice["type"] for choice in schema["properties"]["labels"]["anyOf"]]
    assert kinds == ["object", "array"]


def test_the_schema_is_not_shared_with_callers():
    task_json_schema()["properties"].clear()
    assert task_json_schema()["properties"]
