"""The first task file, with the taxonomy taken from a person's labels where there are some."""

from __future__ import annotations

import os
import re
import unicodedata
from pathlib import Path
from typing import Any

from potstill.data.files import write_json, writing
from potstill.data.reading import read_examples
from potstill.errors import DataError
from potstill.spec import task_json_schema, task_template
from potstill.spec.task import Columns

_MOST_LABELS = 500
SCHEMA_FILE = "task.schema.json"


def start_task(path: Path, *, name: str | None, kind: Any, gold: Path | None) -> None:
    """Write a commented task file, and, where none is there, the JSON Schema for editors.

    Args:
        path: the task file to write.
        name: the task's name; None takes the file's.
        kind: the kind of task.
        gold: rows with a person's label; their labels become the taxonomy.

    Raises:
        SpecError: the kind is not known.
        DataError: the rows cannot be read, or have more labels than a taxonomy.
    """
    multilabel = kind == "multilabel"
    labels = _labels_of(gold, multilabel) if gold is not None else None
    text = task_template(
        _slug(name or path.stem),
        kind,
        schema=SCHEMA_FILE,
        labels=labels,
        gold=os.path.relpath(gold, path.parent) if gold is not None else None,
    )
    with writing(path) as stream:
        stream.write(text.encode())
    if not (path.parent / SCHEMA_FILE).exists():
        write_json(path.parent / SCHEMA_FILE, task_json_schema())


def _labels_of(gold: Path, multilabel: bool) -> tuple[str, ...]:
    reading = read_examples([gold], Columns(), multilabel=multilabel, labelled=True)
    found: dict[str, None] = {}
    for example in reading.examples:
        target = example.target
        found |= dict.fromkeys([target] if isinstance(target, str) else target or ())
    if len(found) > _MOST_LABELS:
        raise DataError(
            f"{len(found)} different labels look like free text, not like a taxonomy.",
            where=str(gold),
            hint="Check the label column.",
        )
    return tuple(sorted(found))


def _slug(name: str) -> str:
    """A name as task files allow it: lower-case letters, digits, ``-`` and ``_``."""
    plain = unicodedata.normalize("NFKD", name).encode("ascii", "ignore").decode()
    return re.sub(r"[^a-z0-9_-]+", "-", plain.lower()).strip("-_") or "task"
