"""The first task file, with the taxonomy taken from a person's labels where there are some."""

from __future__ import annotations

import os
import re
import unicodedata
from pathlib import Path
from typing import Any

from potstill.data import labels_of
from potstill.data.answers import label_reader
from potstill.data.files import write_json, writing
from potstill.data.reading import read_examples, read_rows
from potstill.errors import DataError
from potstill.run.guessing import guessed_fields
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
        gold: rows with a person's answer; their labels or fields become the task's.

    Raises:
        SpecError: the kind is not known.
        DataError: the rows cannot be read, or have more labels than a taxonomy.
    """
    names = _names_of(gold, kind) if gold is not None else None
    text = task_template(
        _slug(name or path.stem),
        kind,
        schema=SCHEMA_FILE,
        names=names,
        gold=os.path.relpath(gold, path.parent) if gold is not None else None,
    )
    with writing(path) as stream:
        stream.write(text.encode())
    if not (path.parent / SCHEMA_FILE).exists():
        write_json(path.parent / SCHEMA_FILE, task_json_schema())


def _names_of(gold: Path, kind: str) -> tuple[str, ...] | dict[str, str] | None:
    """The labels or the fields that a person's rows have; None where the kind has neither."""
    if kind == "extraction":
        return guessed_fields([row.fields.get("fields") for row in read_rows(gold)]) or None
    if kind not in ("classification", "multilabel"):
        return None
    targets = label_reader(multilabel=kind == "multilabel")
    found: dict[str, None] = {}
    for example in read_examples([gold], Columns(), targets=targets).examples:
        found |= dict.fromkeys(labels_of(example.target))
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
