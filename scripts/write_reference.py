"""Write what is generated from the code: the references of task, workflow and recipe files.

python scripts/write_reference.py           # write
python scripts/write_reference.py --check   # exit 1 where a file is stale
"""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

from potstill.spec import (
    recipe_json_schema,
    task_json_schema,
    task_template,
    workflow_json_schema,
)

DOCS = Path(__file__).parent.parent / "docs"


def references() -> dict[Path, str]:
    """The generated files and what they must hold."""
    task, workflow = task_json_schema(), workflow_json_schema()
    recipe = recipe_json_schema()
    return {
        DOCS / "task.schema.json": json.dumps(task, indent=2, ensure_ascii=False) + "\n",
        DOCS / "task-file.md": task_page(task),
        DOCS / "recipe.schema.json": json.dumps(recipe, indent=2, ensure_ascii=False) + "\n",
        DOCS / "workflow.schema.json": json.dumps(workflow, indent=2, ensure_ascii=False) + "\n",
        DOCS / "workflow-file.md": workflow_page(workflow),
    }


def workflow_page(schema: dict[str, Any]) -> str:
    """The reference of the workflow file as Markdown."""
    lines = [
        "# The workflow file",
        "",
        "Every key; [workflows](workflows.md) says what one does with them. This page is generated",
        "from the code by `scripts/write_reference.py`.",
        "",
    ]
    return "\n".join([*lines, *sections("Workflow", schema)]).rstrip() + "\n"


def task_page(schema: dict[str, Any]) -> str:
    """The reference of the task file as Markdown."""
    lines = [
        "# The task file",
        "",
        "YAML 1.2, so that `yes` and `no` stay labels. Unknown keys are refused with file, line and",
        "the nearest name; `--set path=value` replaces a key for one run. Editors complete keys with",
        "`task.schema.json`, which `potstill init` writes beside the task file.",
        "",
        "This page is generated from the code by `scripts/write_reference.py`.",
        "",
    ]
    lines += sections("Task", schema)
    lines += ["## The file that `potstill init` writes", "", "```yaml"]
    return "\n".join([*lines, task_template("complaints").rstrip(), "```", ""])


def sections(name: str, schema: dict[str, Any]) -> list[str]:
    """The whole and its parts, a table each."""
    lines = section(name, schema, schema)
    for part_name, part in schema["$defs"].items():
        if "properties" in part:
            lines += section(part_name, part, schema)
    return lines


def section(name: str, part: dict[str, Any], schema: dict[str, Any]) -> list[str]:
    """One model as a table of its keys."""
    required = set(part.get("required", ()))
    lines = [f"## {name}", "", " ".join(part.get("description", "").split()), ""]
    lines += ["| key | kind | default | meaning |", "|---|---|---|---|"]
    for key, value in part["properties"].items():
        default = "required" if key in required else f"`{json.dumps(value.get('default'))}`"
        if "$ref" in str(value) and key not in required and value.get("default"):
            default = "see below"
        about = value.get("description") or schema["$defs"].get(kind(value), {}).get(
            "description", ""
        )
        meaning = " ".join(about.split()).replace("|", "\\|")
        lines.append(f"| `{key}` | {kind(value)} | {default} | {meaning} |")
    return [*lines, ""]


def kind(value: dict[str, Any]) -> str:
    """The type of a key in a word or two."""
    if "$ref" in value:
        return value["$ref"].rpartition("/")[2]
    if "anyOf" in value:
        return " or ".join(kind(option) for option in value["anyOf"])
    choices = value.get("enum") or ([value["const"]] if "const" in value else [])
    if choices:
        return ", ".join(f"`{choice}`" for choice in choices)
    if isinstance(value.get("type"), list):
        return " or ".join(kind({**value, "type": option}) for option in value["type"])
    if value.get("type") == "array":
        return f"list of {kind(value.get('items', {}))}"
    names = {"object": "mapping", "string": "text", "boolean": "true, false"}
    return names.get(value.get("type", ""), value.get("type", "any"))


def main() -> int:
    """Write, or check."""
    stale = [path for path, text in references().items() if not _same(path, text)]
    for path in stale:
        if "--check" in sys.argv:
            print(f"{path.name} is stale: run python scripts/write_reference.py")
        else:
            path.write_text(references()[path], encoding="utf-8")
            print(f"wrote {path.name}")
    return int("--check" in sys.argv and bool(stale))


def _same(path: Path, text: str) -> bool:
    return path.exists() and path.read_text(encoding="utf-8") == text


if __name__ == "__main__":
    sys.exit(main())
