from __future__ import annotations

import asyncio
import json
from typing import Any

import pytest

from potstill.errors import TeacherError
from potstill.teacher.request import AttemptError, Reply, Request, Rung
from potstill.teacher.structured import (
    probe,
    probe_request,
    read_answer,
    response_format,
    with_form,
)

SCHEMA = {
    "type": "object",
    "properties": {"label": {"type": "string", "enum": ["credit_card", "loan"]}},
    "required": ["label"],
    "additionalProperties": False,
}
THOUGHTFUL = {
    "type": "object",
    "properties": {
        "thought": {"type": "string"},
        "labels": {"type": "array", "items": {"enum": ["a b", "c"]}},
    },
    "required": ["thought", "labels"],
    "additionalProperties": False,
}


@pytest.mark.parametrize(
    "text",
    [
        '{"label": "loan"}',
        ' \n{ "label" : "loan" }\n',
        '```json\n{"label": "loan"}\n```',
        'I first thought of a card.\n<answer>{"label": "loan"}</answer>',
        '<answer>```json\n{"label": "loan"}\n```</answer>',
        '<answer>{"label": "credit_card"}</answer> no: <answer>{"label": "loan"}</answer>',
        'The label is {"label": "loan"}, clearly.',
        "{'label': 'loan'}",
        '{"label": "loan",}',
        '{"label": "Loan."}',
        '"loan"',
        "loan",
        "<answer>loan</answer>",
    ],
)
def test_an_answer_is_read_through_its_wrappings(text: str) -> None:
    reading = read_answer(Reply(text=text), SCHEMA, "tagged")
    assert (reading.value, reading.fault) == ({"label": "loan"}, None)


@pytest.mark.parametrize(
    ("text", "fault", "detail"),
    [
        ("", "empty", "empty"),
        (" \n", "empty", "empty"),
        ("It is not a loan.", "invalid_json", "It is not a loan."),
        ('{"label": "mortgage"}', "outside_schema", "'label' is 'mortgage'"),
        ('{"label": 3}', "outside_schema", "'label' is '3'"),
        ('{"labels": "loan"}', "outside_schema", "label"),
        ('{"label": "loan", "sure": true}', "outside_schema", "sure"),
        ("[]", "outside_schema", "not of type object"),
        ("mortgage", "invalid_json", "mortgage"),
    ],
)
def test_what_does_not_fit_gets_a_fault_and_a_sentence(text: str, fault: str, detail: str) -> None:
    reading = read_answer(Reply(text=text), SCHEMA, "json")
    assert (reading.value, reading.fault) == (None, fault)
    assert detail in reading.detail


def test_a_reply_that_was_cut_off_is_never_parsed() -> None:
    cut = Reply(text='{"label": "loan"}', finish_reason="length")
    assert read_answer(cut, SCHEMA, "schema").fault == "cut_off"
    withheld = Reply(text='{"label": "loan"}', finish_reason="content_filter")
    assert read_answer(withheld, SCHEMA, "schema").fault == "content_filtered"


def test_choices_are_respelt_only_where_one_fits() -> None:
    text = '{"thought": "A B or C?", "labels": ["A_B", "c"]}'
    assert read_answer(Reply(text=text), THOUGHTFUL, "json").value == {
        "thought": "A B or C?",
        "labels": ["a b", "c"],
    }
    twins = {"type": "object", "properties": {"label": {"enum": ["Loan", "loan"]}}}
    assert read_answer(Reply(text='{"label": "LOAN"}'), twins, "json").fault == "outside_schema"


def test_repair_is_bounded() -> None:
    long = "{'thought': '" + "x" * 30_000 + "', 'labels': ['c']}"
    assert read_answer(Reply(text=long), THOUGHTFUL, "json").fault == "invalid_json"
    short = long.replace("x" * 30_000, "x")
    assert read_answer(Reply(text=short), THOUGHTFUL, "json").value["labels"] == ["c"]


def test_without_a_schema_the_text_is_the_value() -> None:
    assert read_answer(Reply(text='{"a": 1'), None, "tagged").value == '{"a": 1'


def test_each_rung_asks_in_its_own_way() -> None:
    turns: Any = ({"role": "system", "content": "Classify."}, {"role": "user", "content": "Hm."})
    assert with_form(turns, SCHEMA, "schema") == list(turns)
    assert with_form(turns, None, "tagged") == list(turns)
    as_json, tagged = (with_form(turns, SCHEMA, rung) for rung in ("json", "tagged"))
    assert as_json[0]["content"].startswith("Classify.") and "JSON" in as_json[0]["content"]
    assert "credit_card" in as_json[0]["content"] and "<answer>" not in as_json[0]["content"]
    assert "<answer>" in tagged[0]["content"] and tagged[1] == turns[1]
    alone = with_form(turns[1:], SCHEMA, "tagged")
    assert [turn["role"] for turn in alone] == ["system", "user"]


def test_only_a_closed_schema_is_called_strict() -> None:
    def strict(schema: Any) -> bool:
        form = response_format(schema, "schema")
        assert form is not None
        return form["json_schema"]["strict"]

    assert strict(SCHEMA)
    assert not strict(SCHEMA | {"additionalProperties": True})
    assert not strict(SCHEMA | {"required": []})
    assert response_format(SCHEMA, "json") == {"type": "json_object"}
    assert response_format(SCHEMA, "tagged") is None


def ask_at(answers: dict[Rung, str | Exception]) -> tuple[Any, list[Rung]]:
    asked: list[Rung] = []

    async def complete(request: Request, rung: Rung) -> Reply:
        asked.append(rung)
        answer = answers[rung]
        if isinstance(answer, Exception):
            raise answer
        return Reply(text=answer)

    return complete, asked


WORD = json.dumps({"word": "quincunx"})
RUNGS: tuple[Rung, ...] = ("schema", "json", "tagged")


@pytest.mark.parametrize(
    ("answers", "rung"),
    [
        ({"schema": WORD}, "schema"),
        ({"schema": "Blue.", "json": WORD}, "json"),
        ({"schema": AttemptError("refused", "no response_format"), "json": WORD}, "json"),
        (
            {"schema": '{"word": "blue"}', "json": "", "tagged": f"<answer>{WORD}</answer>"},
            "tagged",
        ),
    ],
)
def test_the_probe_takes_the_strictest_rung_that_is_obeyed(answers: Any, rung: Rung) -> None:
    complete, asked = ask_at(answers)
    assert asyncio.run(probe(RUNGS, complete)) == rung
    assert asked == list(RUNGS[: RUNGS.index(rung) + 1])


def test_the_probe_says_what_was_answered_instead() -> None:
    complete, _ = ask_at(dict.fromkeys(RUNGS, "Blue, of course."))
    with pytest.raises(TeacherError, match=r"Blue, of course\."):
        asyncio.run(probe(RUNGS, complete))


@pytest.mark.parametrize(
    "error",
    [AttemptError("refused", "wrong key", fatal=True), AttemptError("timed_out", "no reply")],
)
def test_the_probe_does_not_take_silence_for_disobedience(error: AttemptError) -> None:
    complete, asked = ask_at({"schema": error})
    with pytest.raises(AttemptError):
        asyncio.run(probe(RUNGS, complete))
    assert asked == ["schema"]


def test_the_probe_asks_for_what_nobody_would_say_unasked() -> None:
    request = probe_request("schema")
    words = request.schema["properties"]["word"]["enum"] if request.schema else []
    asked = " ".join(turn["content"] for turn in request.messages)
    assert words and not any(word in asked for word in words)
