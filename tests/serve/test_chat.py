"""Chat completions before a teacher, asked by the real `openai` client."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import openai
import pytest
from chat_teacher import (
    ASKED,
    MODEL,
    SURE,
    UNSURE,
    ChatTeacher,
    Place,
    rows,
    serving,
    task_at,
)
from starlette.types import Receive, Scope, Send

from potstill.data import Prediction
from potstill.errors import PotstillError
from potstill.serve.chat import ChatGateway, ChatModel
from potstill.spec.task import Columns
from potstill.teacher import RecordedAnswers, examples_from_logs, is_log


def test_without_a_model_everything_is_forwarded_as_it_came(
    place: Callable[..., Place], teacher: ChatTeacher
) -> None:
    with place().client() as client:
        raw = client.chat.completions.with_raw_response.create(
            model="big", messages=ASKED, temperature=0.25, seed=3, metadata={"trace": "7"}
        )
    reply = raw.parse()
    assert raw.headers["x-potstill-answered-by"] == "teacher"
    assert "x-potstill-model" not in raw.headers
    assert (reply.id, reply.model, reply.choices[0].message.content) == (
        "up-1",
        "big-2026",
        "loans",
    )
    assert reply.usage is not None
    assert reply.usage.total_tokens == 110
    sent = json.loads(teacher.bodies[0])
    assert sent == {
        "model": "big",
        "messages": ASKED,
        "temperature": 0.25,
        "seed": 3,
        "metadata": {"trace": "7"},
    }


def test_a_body_goes_on_byte_for_byte(place: Callable[..., Place], teacher: ChatTeacher) -> None:
    body = (
        b'{ "messages":\t[{"role":"user","content":"caf\\u00e9 \xc3\xa9"}],"model":"x", "n":1.0 }'
    )
    there = place()
    with there.client() as client:
        client.post(
            "/chat/completions",
            cast_to=object,
            content=body,
            options={"headers": {"Content-Type": "application/json"}},
        )
    assert teacher.bodies == [body]


def test_the_pair_is_recorded_as_a_log_that_the_next_run_reads(
    place: Callable[..., Place], tmp_path: Path
) -> None:
    with place().client() as client:
        client.chat.completions.create(model="big", messages=ASKED)
    (row,) = rows(tmp_path)
    (log,) = (tmp_path / "chat").glob("*.jsonl")
    assert row["terms"] == "example-terms"
    assert row["endpoint"].startswith("127.0.0.1:")
    assert row["cost_usd"] == pytest.approx((100 * 2 + 10 * 8) / 1e6)
    assert row["seconds"] < 5
    assert "sk-of-the-client" not in log.read_text()
    assert log.stat().st_mode & 0o077 == 0
    assert is_log(log)
    (example,) = examples_from_logs([log])
    assert example.input == UNSURE
    answers = RecordedAnswers.load([log], labels=("cards", "loans", "accounts"), columns=Columns())
    (answer,) = answers.of(example)
    assert (answer.target, answer.teacher, answer.revision) == ("loans", "big", "big-2026")
    assert answer.cost_usd == pytest.approx(row["cost_usd"])


def test_a_stream_passes_piece_by_piece_and_is_recorded_as_a_whole(
    place: Callable[..., Place], teacher: ChatTeacher, tmp_path: Path
) -> None:
    teacher.pause_s = 0.15
    with place().client() as client:
        began = time.monotonic()
        times, content = [], ""
        for chunk in client.chat.completions.create(model="big", messages=ASKED, stream=True):
            times.append(time.monotonic() - began)
            content += chunk.choices[0].delta.content or ""
    assert content == "loans"
    assert len(times) == 4
    # Not gathered and sent at the end: the first piece comes long before the last.
    assert times[-1] - times[0] > 0.3
    (row,) = rows(tmp_path)
    assert row["response"]["choices"][0]["message"]["content"] == "loans"
    assert row["response"]["choices"][0]["finish_reason"] == "stop"
    (log,) = (tmp_path / "chat").glob("*.jsonl")
    (example,) = examples_from_logs([log])
    answers = RecordedAnswers.load([log], labels=("cards", "loans", "accounts"))
    assert [answer.target for answer in answers.of(example)] == ["loans"]


def test_the_model_answers_what_it_is_sure_of(
    place: Callable[..., Place], teacher: ChatTeacher
) -> None:
    there = place(model=lambda: MODEL)
    asked: Any = [{"role": "user", "content": SURE}]
    with there.client() as client:
        raw = client.chat.completions.with_raw_response.create(model="big", messages=asked)
        reply = raw.parse()
        pieces = list(
            client.chat.completions.create(
                model="big", messages=asked, stream=True, stream_options={"include_usage": True}
            )
        )
    assert raw.headers["x-potstill-answered-by"] == "model"
    assert raw.headers["x-potstill-model"] == "topics@0123456789ab"
    assert reply.choices[0].message.content == "cards"
    assert reply.choices[0].finish_reason == "stop"
    assert reply.model == "topics@0123456789ab"
    assert "".join(p.choices[0].delta.content or "" for p in pieces if p.choices) == "cards"
    assert [p.choices[0].finish_reason for p in pieces if p.choices] == [None, None, "stop"]
    assert pieces[-1].usage is not None
    assert pieces[-1].usage.total_tokens == 0
    assert teacher.bodies == []
    assert [served.answer.by for served in there.served] == ["model", "model"]
    assert there.served[0].value == SURE


def test_what_it_is_not_sure_of_goes_on_and_the_header_says_so(
    place: Callable[..., Place], tmp_path: Path
) -> None:
    there = place(model=lambda: MODEL)
    with there.client() as client:
        raw = client.chat.completions.with_raw_response.create(model="big", messages=ASKED)
        raw.parse()
    assert raw.headers["x-potstill-answered-by"] == "teacher"
    assert raw.headers["x-potstill-deferred"] == "unsure"
    rows(tmp_path)
    (served,) = there.served
    assert (served.answer.by, served.answer.fallback) == ("teacher", "teacher")
    assert served.answer.prediction.target == "loans"
    assert served.answer.cost_usd == pytest.approx(280e-6)
    assert (served.model, served.version) == ("topics", "0123456789ab")
    assert served.own == Prediction("loans", 0.4, deferred="unsure")


@pytest.mark.parametrize(
    "more",
    [
        {"tools": [{"type": "function", "function": {"name": "f", "parameters": {}}}]},
        {"n": 2},
        {"logprobs": True},
        {"response_format": {"type": "json_object"}},
        {"messages": [{"role": "user", "content": SURE}, {"role": "assistant", "content": "hm"}]},
        {
            "messages": [
                {
                    "role": "user",
                    "content": [
                        {"type": "text", "text": SURE},
                        {"type": "image_url", "image_url": {"url": "data:,"}},
                    ],
                }
            ]
        },
        {"messages": [{"role": "user", "content": "  "}]},
    ],
    ids=["tools", "n", "logprobs", "json", "assistant_last", "image", "empty"],
)
def test_a_request_of_another_shape_is_the_teachers(
    place: Callable[..., Place], teacher: ChatTeacher, more: dict[str, Any]
) -> None:
    asked: Any = {"model": "big", "messages": [{"role": "user", "content": SURE}]} | more
    with place(model=lambda: MODEL).client() as client:
        raw = client.chat.completions.with_raw_response.create(**asked)
    assert raw.headers["x-potstill-answered-by"] == "teacher"
    assert len(teacher.bodies) == 1


def test_a_model_that_is_busy_leaves_the_request_to_the_teacher(
    place: Callable[..., Place], teacher: ChatTeacher
) -> None:
    async def busy(_: Any) -> Prediction:
        raise PotstillError("busy")

    there = place(model=lambda: ChatModel("topics", "0", busy))
    with there.client() as client:
        reply = client.chat.completions.create(
            model="big", messages=[{"role": "user", "content": SURE}]
        )
    assert reply.choices[0].message.content == "loans"
    assert len(teacher.bodies) == 1


def test_the_pattern_finds_the_input_and_the_template_shapes_the_answer(
    place: Callable[..., Place], teacher: ChatTeacher, tmp_path: Path
) -> None:
    teacher.label = '{"label": "loans"}'
    there = place(
        "serve:\n  consent: true\n  chat:\n    pattern: 'Text: (?P<text>.+)'\n"
        "    system: 'label'\n    answer: '{{\"label\": {json}}}'\n",
        model=lambda: MODEL,
    )

    def ask(text: str, system: str = "You label texts.") -> Any:
        return client.chat.completions.with_raw_response.create(
            model="big",
            messages=[{"role": "system", "content": system}, {"role": "user", "content": text}],
            response_format={"type": "json_object"},
        )

    with there.client() as client:
        sure = ask(f"Which topic?\nText: {SURE}\nagain")
        unsure = ask(f"Which topic?\nText: {UNSURE}")
        other = ask(f"Summarise: {SURE}")
        prompt = ask(f"Text: {SURE}", "You write poems.")
    assert json.loads(sure.parse().choices[0].message.content) == {"label": "cards"}
    by = [reply.headers["x-potstill-answered-by"] for reply in (sure, unsure, other, prompt)]
    assert by == ["model", "teacher", "teacher", "teacher"]
    assert there.served[0].value == f"{SURE}\nagain"
    # The task's input alone is what the next run learns from; other prompts teach it nothing.
    (row,) = rows(tmp_path)
    assert row["request"]["messages"][-1]["content"] == UNSURE
    (log,) = (tmp_path / "chat").glob("*.jsonl")
    assert [example.input for example in examples_from_logs([log])] == [UNSURE]


def test_what_a_client_says_of_its_user_is_not_kept(
    place: Callable[..., Place], teacher: ChatTeacher, tmp_path: Path
) -> None:
    with place().client() as client:
        client.chat.completions.create(
            model="big", messages=ASKED, user="jo", metadata={"account": "17"}, temperature=0.0
        )
    (row,) = rows(tmp_path)
    assert row["request"] == {"model": "big", "messages": ASKED, "temperature": 0.0}
    assert json.loads(teacher.bodies[0])["user"] == "jo"


def test_a_text_of_a_megabyte_is_not_held_against_the_others(
    place: Callable[..., Place], teacher: ChatTeacher, tmp_path: Path
) -> None:
    there = place(model=lambda: MODEL)
    with there.client() as client:
        raw = client.chat.completions.with_raw_response.create(
            model="big", messages=[{"role": "user", "content": "card " * 300_000}]
        )
    assert raw.headers["x-potstill-answered-by"] == "teacher"
    assert len(teacher.bodies[0]) > 1_500_000
    assert there.served == []


def test_redaction_and_consent_come_before_the_disk(
    place: Callable[..., Place], tmp_path: Path, teacher: ChatTeacher
) -> None:
    teacher.label = "loans for jo@example.com"
    there = place("serve: {consent: true, redact: [{pattern: email}, {pattern: phone}]}")
    with there.client() as client:
        reply = client.chat.completions.create(
            model="big",
            messages=[
                {"role": "system", "content": "Owner: boss@example.com"},
                {"role": "user", "content": "write jo@example.com or call +44 20 7946 0958 now"},
            ],
        )
    assert "jo@example.com" in (reply.choices[0].message.content or "")
    (row,) = rows(tmp_path)
    text = json.dumps(row)
    assert "@example.com" not in text
    assert "7946" not in text
    assert row["request"]["messages"][-1]["content"] == "write <email> or call <phone> now"
    assert row["response"]["choices"][0]["message"]["content"] == "loans for <email>"


@pytest.mark.parametrize("serve", ["serve: {}", "serve: {consent: true, sample: 0.0}"])
def test_nothing_is_kept_without_consent_or_outside_the_sample(
    place: Callable[..., Place], tmp_path: Path, serve: str
) -> None:
    there = place(serve)
    with there.client() as client:
        client.chat.completions.create(model="big", messages=ASKED)
        client.chat.completions.create(model="big", messages=ASKED, stream=True).close()
    time.sleep(0.1)
    assert list(tmp_path.glob("chat/*.jsonl")) == []


def test_models_are_the_tasks_own_and_the_teachers(place: Callable[..., Place]) -> None:
    with place(listed=lambda: [{"id": "topics", "object": "model"}]).client() as client:
        assert [model.id for model in client.models.list()] == ["topics", "big"]


def test_moving_back_and_forth_changes_the_base_url_alone(
    place: Callable[..., Place], teacher: ChatTeacher
) -> None:
    there = place()
    with serving(teacher.app()) as direct:
        replies = []
        for url in (f"{direct}/v1", there.url, f"{direct}/v1"):
            with openai.OpenAI(base_url=url, api_key="sk", max_retries=0) as client:
                reply = client.chat.completions.create(model="big", messages=ASKED)
                replies.append(reply.model_dump())
    assert replies[0] == replies[1] == replies[2]


def test_many_clients_at_once_each_get_their_own_answer(
    place: Callable[..., Place], teacher: ChatTeacher, tmp_path: Path
) -> None:
    there = place(model=lambda: MODEL)
    found: dict[int, str | None] = {}

    def ask(number: int) -> None:
        text = f"{SURE if number % 2 else UNSURE} {number}"
        with there.client() as client:
            raw = client.chat.completions.with_raw_response.create(
                model="big", messages=[{"role": "user", "content": text}], stream=False
            )
            assert raw.headers["x-potstill-answered-by"] == ("model" if number % 2 else "teacher")
            found[number] = raw.parse().choices[0].message.content

    threads = [threading.Thread(target=ask, args=(number,)) for number in range(16)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert found == {number: "cards" if number % 2 else "loans" for number in range(16)}
    until = time.monotonic() + 5
    while len(rows(tmp_path)) < 8 and time.monotonic() < until:
        time.sleep(0.01)
    assert {row["request"]["messages"][0]["content"] for row in rows(tmp_path)} == {
        f"{UNSURE} {number}" for number in range(0, 16, 2)
    }


def test_scopes_without_a_visit_are_answered_too(tmp_path: Path) -> None:
    """A gate of the server opens a visit; an application that mounts the routes has none."""
    import asyncio

    chat = ChatGateway(task_at(tmp_path, "http://127.0.0.1:9/v1"), model=lambda: MODEL)
    sent: list[Any] = []
    body = json.dumps({"messages": [{"role": "user", "content": SURE}]}).encode()

    async def receive() -> Any:
        return {"type": "http.request", "body": body, "more_body": False}

    async def send(message: Any) -> None:
        sent.append(message)

    route: Any = chat.router().routes[0]
    app: Callable[[Scope, Receive, Send], Any] = route.app

    async def ask() -> None:
        await app({"type": "http", "headers": [], "query_string": b""}, receive, send)
        await chat.close()

    asyncio.run(ask())
    assert sent[0]["status"] == 200
    assert json.loads(sent[1]["body"])["choices"][0]["message"]["content"] == "cards"
