"""The chat gateway among the routes of a whole server."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import openai
import pytest
from chat_teacher import ChatTeacher, rows, serving, task_at
from served import Caller

from potstill.serve import Settings
from potstill.serve.chat import ChatGateway, chat_routes
from potstill.serve.contract import Served
from potstill.serve.registry import Registry
from potstill.serve.server import serving as serve_for_a_while


class Kept:
    """A recorder that remembers."""

    dropped = 0

    def __init__(self) -> None:
        self.served: list[Served] = []

    def record(self, served: Served) -> None:
        self.served.append(served)

    def close(self) -> None:
        pass


@pytest.mark.parametrize("keys", [(), ("key-of-the-server",)], ids=["open", "keyed"])
def test_model_and_teacher_answer_behind_one_server(
    start: Callable[..., Caller], tmp_path: Path, keys: tuple[str, ...]
) -> None:
    teacher, kept = ChatTeacher(), Kept()
    with serving(teacher.app()) as upstream:
        loaded = task_at(tmp_path, f"{upstream}/v1", "serve: {consent: true}")
        there: Any = start(
            recorder=kept,
            keys=keys,
            routes=[
                lambda hall: chat_routes(
                    loaded, hall, model="topics", folder=tmp_path / "chat", recorder=kept
                )
            ],
        )
        key = keys[0] if keys else "key-of-the-client"
        with openai.OpenAI(base_url=f"{there.url}/v1", api_key=key, max_retries=0) as client:

            def ask(text: str) -> Any:
                return client.chat.completions.with_raw_response.create(
                    model="big", messages=[{"role": "user", "content": text}]
                )

            sure, unsure, broken = ask("my card"), ask("unsure, a loan"), ask("raise, a card")
            listed = [model.id for model in client.models.list()]
        if keys:
            with (
                openai.OpenAI(base_url=f"{there.url}/v1", api_key="wrong", max_retries=0) as other,
                pytest.raises(openai.AuthenticationError),
            ):
                other.chat.completions.create(model="big", messages=[])
    by = [reply.headers["x-potstill-answered-by"] for reply in (sure, unsure, broken)]
    assert by == ["model", "teacher", "teacher"]
    assert sure.headers["x-potstill-model"] == f"topics@{'a' * 12}"
    assert sure.headers["x-request-id"]
    assert sure.parse().choices[0].message.content == "card"
    assert listed == ["topics", "big"]
    assert [served.answer.by for served in kept.served] == ["model", "teacher"]
    assert kept.served[1].own is not None
    assert {row["request"]["messages"][0]["content"] for row in rows(tmp_path)} == {
        "unsure, a loan",
        "raise, a card",
    }
    # A key that opens the server is sent to nobody else.
    passed_on = None if keys else f"Bearer {key}"
    assert teacher.headers[0].get("authorization") == passed_on


def test_the_gateway_is_closed_with_the_server(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    closed: list[str] = []
    close = ChatGateway.close

    async def noted(self: ChatGateway) -> None:
        closed.append(self.name)
        await close(self)

    monkeypatch.setattr(ChatGateway, "close", noted)
    loaded = task_at(tmp_path, "http://127.0.0.1:9/v1")
    settings = Settings(port=0, workers=1, drain_s=0.0, log_requests=False)
    with serve_for_a_while(
        Registry([]), settings, routes=[lambda hall: chat_routes(loaded, hall, model="topics")]
    ) as url:
        # Chat before there is any model.
        with (
            openai.OpenAI(base_url=f"{url}/v1", api_key="sk", max_retries=0) as client,
            pytest.raises(openai.APIStatusError) as caught,
        ):
            client.chat.completions.create(
                model="big", messages=[{"role": "user", "content": "card"}]
            )
        assert caught.value.status_code == 502
        assert json.loads(caught.value.response.content)["error"]["code"] == "teacher_unreachable"
        assert closed == []
    assert closed == ["topics"]
