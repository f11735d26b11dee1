"""The JSON Schema of task files: for editors, and for the errors that name known keys."""

from __future__ import annotations

from collections.abc import Sequence
from copy import deepcopy
from functools import cache
from typing import Any

from potstill.spec.task import Task


@cache
def _schema() -> dict[str, Any]:
    schema = Task.model_json_schema()
    schema["$schema"] = "https://json-schema.org/draft/2020-12/schema"
    schema["title"] = "Potstill task"
    return schema


def task_json_schema() -> dict[str, Any]:
    """The JSON Schema of a task file, with a description of every key.

    Editors that speak the YAML language server complete and check keys with it, when the
    first line of the file is ``# yaml-language-server: $schema=task.schema.json``.
    """
    return deepcopy(_schema())


def described_keys(path: Sequence[str | int]) -> dict[str, str]:
    """The keys known at a path of the task file, each with its description.

    Args:
        path: as in ``("data", "columns")``; the empty path is the task itself.
    """
    node = _schema()
    for step in path:
        node = _child(node, step)
    properties = _resolved(node).get("properties", {})
    return {
        name: _resolved(entry, entry).get("description", "") for name, entry in properties.items()
    }


def _child(node: dict[str, Any], step: str | int) -> dict[str, Any]:
    mapping = _resolved(node)
    if isinstance(step, int):
        return mapping.get("items", {})
    return mapping.get("properties", {}).get(step) or mapping.get("additionalProperties") or {}


def _resolved(node: dict[str, Any], keep: dict[str, Any] | None = None) -> dict[str, Any]:
    """A node behind its references and optional wrappers; what it says itself goes first."""
    for choice in node.get("anyOf", node.get("allOf", ())):
        if "$ref" in choice:
            return {**_resolved(choice), **(keep or {})}
    if "$ref" in node:
        target = _schema()["$defs"][node["$ref"].rpartition("/")[2]]
        return {**target, **(keep or {})}
    return node
