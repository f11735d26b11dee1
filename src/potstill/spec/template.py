"""The commented task file that `potstill init` writes."""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from typing import Literal, get_args

from potstill.errors import SpecError
from potstill.spec.task import NAME_PATTERN

TaskType = Literal["classification", "multilabel"]

_TEMPLATE = """\
# yaml-language-server: $schema=@schema@
# A task for Potstill. Paths start from the folder of this file. What is commented out shows
# its default, or an example. `potstill check` reads this file and its data, and reports.
kind: task
version: 1
name: @name@
type: @type@
description: @description@

# The taxonomy. A description helps whoever labels or reviews; null needs none.
labels:
@labels@
# House rules for the borderline cases.
# rules:
#   - If two labels fit, choose the one that the writer asks about.

data:
  # Texts for the teacher to answer: JSONL, CSV or Parquet, or a log of chat completions.
  unlabeled: inbox.jsonl
  # Rows that a person labelled. They are the test set, which nothing is ever trained on.
  gold: @gold@
  # To train on a part of them as well:
  # gold_split: {train: 0.5, dev: 0.2, test: 0.3}
  # Your own column names@target_note@:
  # columns: {id: id, input: text, target: label}
  # Licence or terms-of-use id of the texts, for the lineage:
  # terms: my-data-licence

teacher:
  # What large models answered: {"id": …, @answer@} a line, or a log of chat
  # completions. Several files are a committee.
  answers: answers.jsonl
  # Licence or terms-of-use id of the answers, for the lineage:
  # terms: provider-terms-2026
  # What a million of the teacher's answers cost, if the records do not say:
  # usd_per_million: 500

# What is doubted before training, in this order. Rejected rows are kept, with the cause.
# 'noise' may be added: it takes out labels that rows like them contradict.
filter: [validity, duplicates, agreement]

# Sources that may not reach training:
# policy: {deny: ["openai/*"]}

student:
  # minilm-l6 (22M parameters), mpnet-base (110M), a folder, or a hub id.
  base: minilm-l6
  # frozen, tuned, or auto: tuned only where it wins on the development rows.
  mode: auto
  # max_tokens: 256

# Gates: when one fails, the run ends with exit code 1.
accept:
  macro_f1: {min: 0.7}
  # teacher_gap: {max: 0.02}
  # latency_p95_ms: {max: 20}

seed: 7
"""

_LABELS = {
    "classification": """\
  billing: Charges, refunds, invoices.
  technical: Something does not work.
  other: null
""",
    "multilabel": """\
  billing: Charges, refunds, invoices.
  technical: Something does not work.
  urgent: The writer cannot go on without an answer.
""",
}
_WORDS = ("null", "true", "false")
_DESCRIPTIONS = {
    "classification": "What is this message about?",
    "multilabel": "Which of these does this message ask for? It may be several, or none.",
}


def task_template(
    name: str,
    type: TaskType = "classification",
    *,
    schema: str = "task.schema.json",
    labels: Sequence[str] | None = None,
    gold: str | None = None,
) -> str:
    """A commented task file, ready to be edited; as it stands, it loads.

    Args:
        name: the task's name.
        type: the kind of task.
        schema: where the editor finds the JSON Schema, from the folder of the file.
        labels: the taxonomy, where it is known; examples otherwise.
        gold: path of the rows that a person labelled, from the folder of the file.

    Raises:
        SpecError: the kind of task is not known, or the name cannot be one.
    """
    if not re.match(NAME_PATTERN, name):
        raise SpecError(
            f"{name!r} cannot be a task's name.",
            hint="Use lower-case letters, digits, '-' and '_', for example: bank-complaints",
        )
    if type not in get_args(TaskType):
        raise SpecError(
            f"{type!r} is not a kind of task.", hint=f"Choose {' or '.join(get_args(TaskType))}."
        )
    several = type == "multilabel"
    fill = {
        # A name such as 2026 or null must stay text.
        "name": name if name[0].isalpha() and name not in _WORDS else json.dumps(name),
        "type": type,
        "description": _DESCRIPTIONS[type],
        "labels": _LABELS[type] if labels is None else _label_lines(labels),
        "gold": _scalar(gold or "gold.jsonl"),
        "schema": schema,
        "target_note": " (the target: a list, or labels separated by commas)" if several else "",
        "answer": '"labels": […]' if several else '"label": …',
    }
    text = _TEMPLATE
    for key, value in fill.items():
        text = text.replace(f"@{key}@", value)
    return text


def _label_lines(labels: Sequence[str]) -> str:
    # Quoted as JSON, so that `yes`, `1` and `a: b` stay what they are.
    return "".join(f"  {json.dumps(label, ensure_ascii=False)}: null\n" for label in labels)


def _scalar(text: str) -> str:
    """Text as YAML, quoted where it would mean something else."""
    plain = re.fullmatch(r"[\w./-]+", text) is not None
    return text if plain else json.dumps(text, ensure_ascii=False)
