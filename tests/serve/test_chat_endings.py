"""Chat completions where the teacher, the client or the task file is not as it should be."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import openai
import pytest
from chat_teacher import (
    ASKED,
    MODEL,
    ChatTeacher,
    Place,
    gateway,
    rows,
    serving,
    task_at,
)

from potstill.errors import SpecError, TeacherError
from potstill.serve.chat import ChatGateway
from potstill.spec.loading import load_task
from stub_endpoint import running_stub


def test_errors_of_the_teacher_pass_with_their_headers(
    place: Callable[..., Place], teacher: ChatTeacher, tmp_path: Path
) -> None:
    told = {"error": {"message": "Slow down.", "type": "requests", "code": "rate_limit_exceeded"}}
    teacher.refusal = (429, {"Retry-After": "7", "x-ratelimit-remaining-requests": "0"}, told)
    there = place()
    with there.client() as client, pytest.raises(openai.RateLimitError) as caught:
        client.chat.completions.create(model="big", messages=ASKED)
    assert caught.value.code == "rate_limit_exceeded"
    assert caught.value.response.headers["retry-after"] == "7"
    assert caught.value.response.headers["x-ratelimit-remaining-requests"] == "0"
    assert caught.value.response.headers["x-potstill-answered-by"] == "teacher"
    assert there.served == []


def test_a_client_that_retries_gets_through_a_faulty_endpoint(tmp_path: Path) -> None:
    """The endpoint fails half of the calls; the client's own retries do the rest."""
    with running_stub(faults=0.3, kinds=("limited", "server_error"), retry_after=("0",)) as stub:
        loaded = task_at(tmp_path, stub.base_url, "serve: {consent: true}")
        with gateway(loaded, tmp_path / "chat") as there, there.client(max_retries=8) as client:
            replies = [
                client.chat.completions.create(model="stub", messages=ASKED) for _ in range(6)
            ]
        books = stub.books()
    assert [reply.choices[0].message.content for reply in replies] == ["ok"] * 6
    assert books["answered"] == 6
    assert books["calls"] > 6
    # Errors are no pairs.
    assert len(rows(tmp_path)) == 6


def test_an_unreachable_teacher_is_a_502_that_says_what_to_do(tmp_path: Path) -> None:
    loaded = task_at(tmp_path, "http://127.0.0.1:9/v1")
    with gateway(loaded) as there, there.client() as client:
        with pytest.raises(openai.APIStatusError) as caught:
            client.chat.completions.create(model="big", messages=ASKED)
        assert caught.value.status_code == 502
        assert caught.value.code == "teacher_unreachable"
        assert "Check 'base_url'" in caught.value.message
        # The model's own answers need no teacher.
        assert client.models.list().data == []


def test_a_silent_teacher_is_a_504(place: Callable[..., Place], teacher: ChatTeacher) -> None:
    teacher.pause_s = 5.0
    client = place(teacher="timeout_s: 0.3").client()
    with client, pytest.raises(openai.APIStatusError) as caught:
        client.chat.completions.create(model="big", messages=ASKED)
    assert caught.value.status_code == 504
    assert teacher.hung_up.wait(5)


def test_a_stream_that_is_cut_off_ends_with_an_error(
    place: Callable[..., Place], teacher: ChatTeacher, tmp_path: Path
) -> None:
    teacher.cut = True
    heard = []
    with place().client() as client, pytest.raises(openai.APIError) as caught:
        for chunk in client.chat.completions.create(model="big", messages=ASKED, stream=True):
            heard.append(chunk)
    assert len(heard) == 2
    assert "did not answer" in str(caught.value)
    assert list(tmp_path.glob("chat/*.jsonl")) == []


@pytest.mark.parametrize("stream", [True, False])
def test_a_client_that_hangs_up_ends_the_call_to_the_teacher(
    place: Callable[..., Place], teacher: ChatTeacher, stream: bool, tmp_path: Path
) -> None:
    teacher.pause_s = 3.0
    there = place()
    with there.client(timeout=0.3) as client, pytest.raises(openai.APIError):
        reply: Any = client.chat.completions.create(model="big", messages=ASKED, stream=stream)
        list(reply)
    assert teacher.hung_up.wait(2), "the teacher went on working for nobody"
    assert list(tmp_path.glob("chat/*.jsonl")) == []


def test_the_teachers_key_takes_the_place_of_the_clients(
    place: Callable[..., Place], teacher: ChatTeacher, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("BIG_KEY", "sk-of-the-teacher")
    with place(teacher="api_key_env: BIG_KEY").client() as client:
        client.chat.completions.create(
            model="big", messages=ASKED, extra_headers={"api-key": "also-the-clients"}
        )
    assert teacher.headers[0]["authorization"] == "Bearer sk-of-the-teacher"
    assert "api-key" not in teacher.headers[0]


def test_without_a_key_of_its_own_the_clients_is_passed_on_unless_it_opens_the_server(
    tmp_path: Path, teacher: ChatTeacher
) -> None:
    with serving(teacher.app()) as upstream:
        loaded = task_at(tmp_path, f"{upstream}/v1")
        for pass_on_keys in (True, False):
            with gateway(loaded, pass_on_keys=pass_on_keys) as there, there.client() as client:
                client.chat.completions.create(model="big", messages=ASKED)
    assert teacher.headers[0]["authorization"] == "Bearer sk-of-the-client"
    assert "authorization" not in teacher.headers[1]


def test_a_redirect_is_not_followed(place: Callable[..., Place], teacher: ChatTeacher) -> None:
    teacher.refusal = (307, {"Location": "http://127.0.0.1:9/steal"}, {})
    with place().client() as client, pytest.raises(openai.APIStatusError) as caught:
        client.chat.completions.create(model="big", messages=ASKED)
    assert caught.value.status_code == 502
    assert "location" not in caught.value.response.headers


def test_a_body_that_is_too_large_is_refused(place: Callable[..., Place]) -> None:
    with place(most_body_bytes=1000).client() as client, pytest.raises(openai.APIError) as caught:
        client.chat.completions.create(
            model="big", messages=[{"role": "user", "content": "x" * 5000}]
        )
    assert isinstance(caught.value, openai.APIStatusError)
    assert caught.value.status_code == 413


def test_garbage_is_the_teachers_to_refuse(
    place: Callable[..., Place], teacher: ChatTeacher
) -> None:
    teacher.refusal = (400, {}, {"error": {"message": "Not JSON."}})
    with place(model=lambda: MODEL).client() as client:
        for body in (b"", b"{", b"[]", b'{"messages": 7}', b'{"messages": ["\\ud800"]}'):
            with pytest.raises(openai.BadRequestError):
                client.post("/chat/completions", cast_to=object, content=body)
    assert len(teacher.bodies) == 5


def test_a_teacher_without_an_address_cannot_be_stood_before(tmp_path: Path) -> None:
    path = tmp_path / "task.yaml"
    path.write_text(
        "kind: task\nversion: 1\nname: t\ntype: classification\nlabels: [a, b]\n"
        "data: {gold: gold.jsonl}\nteacher: {model: 'python:some:function'}\n"
    )
    with pytest.raises(TeacherError, match=r"task\.yaml:7: .*no address.*'base_url'"):
        ChatGateway(load_task(path, check_files=False))


@pytest.mark.parametrize(
    ("chat", "said"),
    [
        ("pattern: '('", "no regular expression"),
        ("pattern: 'Text: (.+)'", "no group 'text'"),
        ("answer: 'yes'", "must hold {label}"),
        ("answer: '{label.__class__}'", "must hold {label}"),
        ("answer: '{label'", "must hold {label}"),
        ("system: '['", "no regular expression"),
    ],
)
def test_rules_that_cannot_be_used_are_refused_with_their_line(
    tmp_path: Path, chat: str, said: str
) -> None:
    loaded = task_at(tmp_path, "http://127.0.0.1:9/v1", f"serve:\n  chat:\n    {chat}\n")
    with pytest.raises(SpecError, match=said) as caught:
        ChatGateway(loaded)
    assert caught.value.where == f"{tmp_path / 'task.yaml'}:15"
