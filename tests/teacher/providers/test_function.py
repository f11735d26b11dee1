from __future__ import annotations

import asyncio
import sys
import time
from importlib.metadata import EntryPoint, EntryPoints
from pathlib import Path
from typing import Any

import pytest

from potstill.errors import TeacherError
from potstill.spec.teacher import Endpoint
from potstill.teacher.providers import function, open_provider
from potstill.teacher.request import AttemptError, Provider, Reply, Request

MODULE = """
import time
from potstill.teacher.request import AttemptError, Reply

def shout(request, mark="!"):
    return "<think>Hm.</think>" + request.messages[-1]["content"].upper() + mark

async def later(request):
    return Reply(text="later", prompt_tokens=1)

class Patient:
    async def __call__(self, request):
        return "patient"

def broken(request): raise ValueError("out of order")
def limited(request): raise AttemptError("rate_limited", "slow down")
def slow(request): time.sleep(0.3); return "slow"
def wrong(request): return 42
patient = Patient()
number = 42
"""


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    (tmp_path / "house_teacher.py").write_text(MODULE)
    monkeypatch.delitem(sys.modules, "house_teacher", raising=False)
    return tmp_path


def opened(folder: Path, name: str, **given: Any) -> Provider:
    return open_provider(
        Endpoint(model=f"python:{name}", **given), resolve=lambda path: folder / path
    )


def ask(provider: Provider, timeout_s: float = 5.0) -> Reply:
    request = Request(id="1", purpose="label", messages=({"role": "user", "content": "hi"},))

    async def asked() -> Reply:
        try:
            return await provider.complete(request, "schema", timeout_s=timeout_s)
        finally:
            await provider.close()

    return asyncio.run(asked())


def test_a_function_beside_the_task_answers(folder: Path) -> None:
    path = list(sys.path)
    provider = opened(folder, "house_teacher:shout", options={"mark": "?"})
    assert (provider.name, provider.endpoint) == ("python:house_teacher:shout", None)
    reply = ask(provider)
    assert (reply.text, reply.thought, reply.prompt_tokens) == ("HI?", "Hm.", None)
    assert sys.path == path


@pytest.mark.parametrize(("name", "text"), [("later", "later"), ("patient", "patient")])
def test_async_functions_are_awaited(folder: Path, name: str, text: str) -> None:
    provider = opened(folder, f"house_teacher:{name}")
    assert provider.concurrency == function.DEFAULT_TASKS
    assert ask(provider).text == text


def test_an_entry_point_is_found_by_name(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(str(folder))
    points = EntryPoints([EntryPoint("loud", "house_teacher:shout", function.GROUP)])
    monkeypatch.setattr(function, "entry_points", lambda group: points.select(group=group))
    assert ask(opened(folder, "loud")).text == "HI!"
    with pytest.raises(TeacherError, match=r"no teacher 'quiet'.*\(loud\)"):
        opened(folder, "quiet")


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("no_such_module:f", "cannot be imported"),
        ("house_teacher:missing", "has no 'missing'"),
        ("house_teacher:number", "no function"),
    ],
)
def test_what_cannot_be_called_is_refused_at_once(folder: Path, name: str, said: str) -> None:
    with pytest.raises(TeacherError, match=said):
        opened(folder, name)


@pytest.mark.parametrize(
    ("name", "fault", "said"),
    [
        ("broken", "server_error", "ValueError: out of order"),
        ("limited", "rate_limited", "slow down"),
        ("wrong", "unreadable", "int"),
    ],
)
def test_what_a_function_raises_is_a_fault(folder: Path, name: str, fault: str, said: str) -> None:
    with pytest.raises(AttemptError, match=said) as caught:
        ask(opened(folder, f"house_teacher:{name}"))
    assert caught.value.fault == fault


def test_a_slow_function_is_given_up(folder: Path) -> None:
    began = time.monotonic()
    with pytest.raises(AttemptError) as caught:
        ask(opened(folder, "house_teacher:slow"), timeout_s=0.05)
    assert caught.value.fault == "timed_out"
    assert time.monotonic() - began < 5.0


def test_changed_code_is_another_teacher(folder: Path) -> None:
    first = opened(folder, "house_teacher:shout")
    assert opened(folder, "house_teacher:shout").identity == first.identity
    assert opened(folder, "house_teacher:shout", options={"mark": "?"}).identity != first.identity
    (folder / "house_teacher.py").write_text(MODULE + "\n# changed\n")
    assert opened(folder, "house_teacher:shout").identity != first.identity
