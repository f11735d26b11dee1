"""The commented task file that `potstill init` writes."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from typing import get_args

from potstill.errors import SpecError
from potstill.spec.answer import TaskType
from potstill.spec.task import NAME_PATTERN

_TEMPLATE = """\
# yaml-language-server: $schema=@schema@
# A task for Potstill. Paths start from the folder of this file. What is commented out shows
# its default, or an example. `potstill check` reads this file and its data, and reports.
kind: task
version: 1
name: @name@
type: @type@
description: @description@

@answer@
# House rules for the borderline cases.
# rules:
#   - @rule@

data:
  # Texts for the teacher to answer: JSONL, CSV or Parquet, or a log of chat completions.
  unlabeled: inbox.jsonl
  # Rows that a person answered. They are the test set, which nothing is ever trained on.
  gold: @gold@
  # To train on a part of them as well:
  # gold_split: {train: 0.5, dev: 0.2, test: 0.3}
  # Your own column names@target_note@:
  @columns@
  # Licence or terms-of-use id of the texts, for the lineage:
  # terms: my-data-licence

teacher:
  # What large models answered: {"id": …, @said@} a line, or a log of chat
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
@student@
# Gates: when one fails, the run ends with exit code 1.
accept:
  @gate@
  # teacher_gap: {max: 0.02}
  # latency_p95_ms: {max: 20}

seed: 7
"""

_LABELS = """\
# The taxonomy. A description helps whoever labels or reviews; null needs none.
labels:
"""
_FIELDS = """\
# What is looked for: text, date, integer, money, duration, or one of `choices`.
fields:
"""
_BOUNDS = """\
# The text that is wanted; the guards stand before every answer.
text:
  max_words: 40
  rubric:
    - It says what the text means for the reader, in plain words.
  # guards: [length, copied, repetition]
"""
_EXAMPLES: dict[TaskType, str] = {
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
    "extraction": """\
  effective_date: {type: date, description: From when the agreement holds.}
  party: {type: text, many: true, required: true, description: Who agrees.}
  fee: {type: money}
""",
    "generation": "",
}
_HEADS: dict[TaskType, str] = {
    "classification": _LABELS,
    "multilabel": _LABELS,
    "extraction": _FIELDS,
    "generation": _BOUNDS,
}
_DESCRIPTIONS: dict[TaskType, str] = {
    "classification": "What is this message about?",
    "multilabel": "Which of these does this message ask for? It may be several, or none.",
    "extraction": "What does this contract say?",
    "generation": "What does this clause mean, in plain words?",
}
_RULES: dict[TaskType, str] = {
    "classification": "If two labels fit, choose the one that the writer asks about.",
    "multilabel": "If two labels fit, choose the one that the writer asks about.",
    "extraction": "If a date is named twice, take the one beside the signatures.",
    "generation": "Address the reader as 'you'.",
}
_COLUMNS: dict[TaskType, str] = {
    "classification": "# columns: {id: id, input: text, target: label}",
    "multilabel": "# columns: {id: id, input: text, target: label}",
    "extraction": "columns: {id: id, input: text, target: fields}",
    "generation": "columns: {id: id, input: text, target: summary}",
}
_TARGET_NOTES: dict[TaskType, str] = {
    "classification": "",
    "multilabel": " (the target: a list, or labels separated by commas)",
    "extraction": " (the target: an object of fields, or a list of spans)",
    "generation": " (the target: a text, or several that are equally right)",
}
_SAID: dict[TaskType, str] = {
    "classification": '"label": …',
    "multilabel": '"labels": […]',
    "extraction": '"fields": {…}',
    "generation": '"answer": …',
}
_ENCODER = """\
  # minilm-l6 (22M parameters), mpnet-base (110M), a folder, a hub id, or auto, which compares.
  base: minilm-l6
  # frozen, tuned, or auto: tuned only where it wins on the development rows.
  mode: auto
"""
_STUDENTS: dict[TaskType, str] = {
    "classification": _ENCODER + "  # max_tokens: 256\n",
    "multilabel": _ENCODER + "  # max_tokens: 256\n",
    "extraction": _ENCODER,
    "generation": """\
  # extractive picks sentences of the source; abstractive writes; auto ships the better one.
  mode: auto
  # base: minilm-l6        what picks
  # writer: smollm2-135m   what writes: also a folder or a hub id
""",
}
_GATES: dict[TaskType, str] = {
    "classification": "macro_f1: {min: 0.7}",
    "multilabel": "macro_f1: {min: 0.7}",
    "extraction": "value_f1: {min: 0.7}",
    "generation": "invented: {max: 0.01}",
}
_WORDS = ("null", "true", "false")


def task_template(
    name: str,
    type: TaskType = "classification",
    *,
    schema: str = "task.schema.json",
    names: Sequence[str] | Mapping[str, str] | None = None,
    gold: str | None = None,
) -> str:
    """A commented task file, ready to be edited; as it stands, it loads.

    Args:
        name: the task's name.
        type: the kind of task.
        schema: where the editor finds the JSON Schema, from the folder of the file.
        names: the labels, or the fields with what is said of each (YAML), where they are known;
            examples otherwise.
        gold: path of the rows that a person answered, from the folder of the file.

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
    held = _EXAMPLES[type]
    if names is not None and type != "generation":
        plain = "{type: text, many: true}" if type == "extraction" else "null"
        held = _name_lines(names if isinstance(names, Mapping) else dict.fromkeys(names, plain))
    fill = {
        # A name such as 2026 or null must stay text.
        "name": name if name[0].isalpha() and name not in _WORDS else json.dumps(name),
        "type": type,
        "description": _DESCRIPTIONS[type],
        "answer": _HEADS[type] + held,
        "rule": _RULES[type],
        "columns": _COLUMNS[type],
        "gold": _scalar(gold or "gold.jsonl"),
        "schema": schema,
        "target_note": _TARGET_NOTES[type],
        "said": _SAID[type],
        "student": _STUDENTS[type],
        "gate": _GATES[type],
    }
    text = _TEMPLATE
    for key, value in fill.items():
        text = text.replace(f"@{key}@", value)
    return text


def _name_lines(names: Mapping[str, str]) -> str:
    # Quoted as JSON, so that `yes`, `1` and `a: b` stay what they are.
    return "".join(
        f"  {json.dumps(name, ensure_ascii=False)}: {said}\n" for name, said in names.items()
    )


def _scalar(text: str) -> str:
    """Text as YAML, quoted where it would mean something else."""
    plain = re.fullmatch(r"[\w./-]+", text) is not None
    return text if plain else json.dumps(text, ensure_ascii=False)
