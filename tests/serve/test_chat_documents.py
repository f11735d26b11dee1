"""Chat requests of tasks that find values or write texts: summaries as chat completions."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from potstill.data.example import Target, Text
from potstill.data.extraction import Extraction, Money, Value
from potstill.errors import SpecError
from potstill.serve.chat.shape import ChatShape
from potstill.spec import load_task

TASK = """
kind: task
version: 1
name: papers
type: {kind}
{more}
data: {{gold: gold.jsonl}}
serve: {{chat: {{{chat}}}}}
"""
FOUND = Extraction(
    {"fee": (Value(Money("9.00", "USD"), "$ 9", 4, 7, 0.9),), "party": (Value("Ann", "Ann", 0, 3),)}
)


def shape(folder: Path, kind: str, chat: str = "") -> ChatShape:
    more = "fields: {fee: {type: money}, party: {}}" if kind == "extraction" else ""
    path = folder / "task.yaml"
    path.write_text(TASK.format(kind=kind, more=more, chat=chat))
    return ChatShape(load_task(path, check_files=False))


def content(shape: ChatShape, target: Target, **body: Any) -> str | None:
    request = {"messages": [{"role": "user", "content": "Ann pays $ 9."}], **body}
    asked = shape.read(json.dumps(request).encode())
    assert asked is not None
    return shape.content(target, asked)


def test_a_summary_is_the_content_of_the_reply(tmp_path):
    gist = Text('They pay "promptly".', guarded=("length",))
    assert content(shape(tmp_path, "generation"), gist) == 'They pay "promptly".'
    wrapped = shape(tmp_path, "generation", """answer: '{{"summary": {json}}}'""")
    form = {"response_format": {"type": "json_object"}}
    assert json.loads(content(wrapped, gist, **form) or "") == {"summary": 'They pay "promptly".'}
    # Somebody who wants JSON is not given words.
    assert content(shape(tmp_path, "generation"), gist, **form) is None


def test_values_are_the_fields_as_json(tmp_path):
    found = json.loads(content(shape(tmp_path, "extraction"), FOUND) or "")
    assert found["fee"] == [
        {
            "value": {"amount": "9.00", "currency": "USD"},
            "text": "$ 9",
            "start": 4,
            "end": 7,
            "confidence": 0.9,
        }
    ]
    assert list(found) == ["fee", "party"]


def test_what_is_unsure_in_part_goes_on_to_the_teacher(tmp_path):
    doubtful = Extraction(FOUND.fields, unsure=("party",))
    assert content(shape(tmp_path, "extraction"), doubtful) is None


@pytest.mark.parametrize(
    ("kind", "answer", "said"),
    [
        ("extraction", "'{label}'", "must hold {json}, and no other field"),
        ("generation", "'{label}'", "must hold {text} or {json}, and no other field"),
        ("generation", "'yes'", "must hold {text} or {json}"),
    ],
)
def test_an_answer_that_does_not_fit_the_task_is_refused(tmp_path, kind, answer, said):
    with pytest.raises(SpecError) as caught:
        shape(tmp_path, kind, f"answer: {answer}")
    assert said in str(caught.value)
    assert caught.value.where == f"{tmp_path / 'task.yaml'}:8"
