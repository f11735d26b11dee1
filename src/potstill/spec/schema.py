"""The JSON Schemas of task, workflow and recipe files: for editors, and for errors that name known keys."""

from __future__ import annotations

from collections.abc import Sequence
from copy import deepcopy
from functools import cache
from typing import Any

from potstill.spec.base import Spec
from potstill.spec.recipe import Recipe
from potstill.spec.task import Task
from potstill.spec.workflow import WorkflowSpec


@cache
def _schema(kind: type[Spec]) -> dict[str, Any]:
    schema = kind.model_json_schema()
    schema["$schema"] = "https://json-schema.org/draft/2020-12/schema"
    return schema


def task_json_schema() -> dict[str, Any]:
    """The JSON Schema of a task file, with a description of every key.

    Editors that speak the YAML language server complete and check keys with it, when the
    first line of the file is ``# yaml-language-server: $schema=task.schema.json``.
    """
    return {**deepcopy(_schema(Task)), "title": "Potstill task"}


def workflow_json_schema() -> dict[str, Any]:
    """The JSON Schema of a workflow file; see `task_json_schema`."""
    return {**deepcopy(_schema(WorkflowSpec)), "title": "Potstill workflow"}


def recipe_json_schema() -> dict[str, Any]:
    """The JSON Schema of a recipe file; see `task_json_schema`."""
    return {**deepcopy(_schema(Recipe)), "title": "Potstill recipe"}


def described_keys(kind: type[Spec], path: Sequence[str | int]) -> dict[str, str]:
    """The keys known at a path of a file, each with its description.

    Args:
        kind: what the file holds: a task or a workflow.
        path: as in ``("data", "columns")``; the empty path is the file itself.
    """
    schema = _schema(kind)
    node = schema
    for step in path:
        node = _child(schema, node, step)
    properties = _resolved(schema, node).get("properties", {})
    return {
        name: _resolved(schema, entry, entry).get("description", "")
        for name, entry in properties.items()
    }


def _child(schema: dict[str, Any], node: dict[str, Any], step: str | int) -> dict[str, Any]:
    mapping = _resolved(schema, node)
    if isinstance(step, int):
        return mapping.get("items", {})
    if step in mapping.get("properties", {}):
        return mapping["properties"][step]
    # Keys of the user's own: any at all, or those that fit a pattern.
    patterns = list(mapping.get("patternProperties", {}).values())
    return mapping.get("additionalProperties") or (patterns[0] if patterns else {})


def _resolved(
    schema: dict[str, Any], node: dict[str, Any], keep: dict[str, Any] | None = None
) -> dict[str, Any]:
    """A node behind its references and optional wrappers; what it says itself goes first."""
    for choice in node.get("anyOf", node.get("allOf", ())):
        if "$ref" in choice:
            return {**_resolved(schema, choice), **(keep or {})}
    if "$ref" in node:
        target = schema["$defs"][node["$ref"].rpartition("/")[2]]
        return {**target, **(keep or {})}
    return node
